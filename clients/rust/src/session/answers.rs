//! What a session makes of the answers to its requests, and of a subscription's end.

use fanfare_protocol::{ErrorCode, Filter, OkBody};

use super::followed::Stage;
use super::{Output, Session};
use crate::event::Event;

impl Session {
    pub(super) fn granted(&mut self, id: u64, body: OkBody) {
        if let Some(published) = self.publishes.granted(id, &body) {
            self.outputs.push_back(published);
            return;
        }
        let Some(filter) = self.asked_by(id) else { return };
        let followed = self.followed.get_mut(&filter).expect("it was just found");
        let is_live = followed.begin(body.cursor);
        let Some(cursor) = followed.cursor.clone() else { return };
        if is_live {
            self.bring(&filter, Event::Live(cursor));
        } else {
            self.outputs.push_back(Output::Moved { filter, cursor });
        }
    }

    pub(super) fn refused(
        &mut self,
        now_ms: u64,
        id: u64,
        code: ErrorCode,
        reason: String,
        retry_after_ms: Option<u64>,
    ) {
        match self.asked_by(id) {
            Some(filter) => self.unsubscribed(now_ms, &filter, code, reason, retry_after_ms),
            None => self.outputs.extend(self.publishes.refused(id, code, reason, retry_after_ms)),
        }
    }

    /// A subscription ended or did not begin: it is asked for again after a time, or given up.
    pub(super) fn unsubscribed(
        &mut self,
        now_ms: u64,
        filter: &Filter,
        code: ErrorCode,
        reason: String,
        retry_after_ms: Option<u64>,
    ) {
        match retry_after_ms {
            Some(ms) => {
                let followed = self.followed.get_mut(filter).expect("only what is followed ends");
                followed.stage = Stage::Waiting { until_ms: now_ms + ms };
            }
            None => {
                self.bring(filter, Event::Unsubscribed { code, reason });
                self.followed.remove(filter);
            }
        }
    }

    fn asked_by(&self, asked: u64) -> Option<Filter> {
        let mut all = self.followed.iter();
        let found = all.find(|(_, followed)| followed.stage == Stage::Asked { id: asked });
        found.map(|(filter, _)| filter.clone())
    }
}
