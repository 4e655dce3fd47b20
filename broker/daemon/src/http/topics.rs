//! The `topic` parameters of calls that follow several filters as one.

use fanfare_core::Filters;
use fanfare_protocol::{ErrorCode, FILTERS_MAX, Filter, RequestError};

use super::history::shorten;

/// What has been read of them.
#[derive(Debug, Default)]
pub(crate) struct Topics(Vec<Filter>);

impl Topics {
    /// Reads one more.
    pub(crate) fn add(&mut self, value: &str) -> Result<(), RequestError> {
        let filter = Filter::parse(value).map_err(|error| {
            let reason = format!("topic {} {error}", shorten(value));
            RequestError { id: None, code: ErrorCode::BadFilter, reason }
        })?;
        if self.0.len() >= FILTERS_MAX {
            let reason =
                format!("there are more than {FILTERS_MAX} parameters `topic`, the limit of one request");
            return Err(RequestError { id: None, code: ErrorCode::Limit, reason });
        }
        self.0.push(filter);
        Ok(())
    }

    /// All of them, of which there must be one.
    pub(crate) fn filters(self) -> Result<Filters, RequestError> {
        Filters::new(self.0).ok_or_else(|| RequestError {
            id: None,
            code: ErrorCode::BadRequest,
            reason: "a parameter `topic` is missing, as in ?topic=orders.eu&topic=news.>".to_owned(),
        })
    }
}
