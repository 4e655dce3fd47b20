//! Publishes whose answer is awaited.

use std::collections::BTreeMap;

use fanfare_protocol::{Encoding, ErrorCode, OkBody, Publication, Request, Topic, Welcome};

use super::Output;
use crate::outcome::{PublishError, Published, Refusal};

/// The most publishes that wait for their answers; what a broker lets wait by default.
const AWAITED_MAX: usize = 64;
/// A retry after this could come when the broker has forgotten the key, which it keeps for two minutes.
const RETRY_MS: u64 = 90_000;
/// The largest frame of a broker that does not say.
const FRAME_BYTES: u64 = 64 * 1024;

const CUT: &str = "the connection broke before the answer";

/// Publishes by the id of their request.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    awaited: BTreeMap<u64, Awaited>,
}

#[derive(Debug)]
struct Awaited {
    topic: Topic,
    publication: Publication,
    /// When it was first sent.
    sent_ms: Option<u64>,
    /// It was sent over the connection that stands.
    is_under_way: bool,
}

impl Publishes {
    pub(super) fn have_room(&self) -> bool {
        self.awaited.len() < AWAITED_MAX
    }

    pub(super) fn insert(&mut self, id: u64, topic: Topic, publication: Publication) {
        let awaited = Awaited { topic, publication, sent_ms: None, is_under_way: false };
        self.awaited.insert(id, awaited);
    }

    /// Sends what is not under way, and fails what can't be sent.
    pub(super) fn send(&mut self, now_ms: u64, encoding: Encoding, welcome: &Welcome) -> Vec<Output> {
        let bytes_max = welcome.limits.get("frame_bytes").copied().unwrap_or(FRAME_BYTES);
        let (mut outputs, mut failed) = (Vec::new(), Vec::new());
        for (id, awaited) in self.awaited.iter_mut().filter(|(_, awaited)| !awaited.is_under_way) {
            match awaited.frame(*id, now_ms, encoding, bytes_max) {
                Ok(frame) => outputs.push(Output::Send(frame)),
                Err(error) => failed.push((*id, error)),
            }
        }
        outputs.extend(failed.into_iter().map(|(id, error)| self.fail(id, error)));
        outputs
    }

    pub(super) fn granted(&mut self, id: u64, body: &OkBody) -> Option<Output> {
        self.awaited.remove(&id)?;
        let result = match body.position {
            Some(position) => Ok(Published {
                position,
                heard: body.heard.unwrap_or(false),
                receivers: body.receivers,
                repeated: body.repeated.unwrap_or(false),
            }),
            None => Err(PublishError::Unclear("the answer has no position".to_owned())),
        };
        Some(Output::Published { id, result })
    }

    pub(super) fn refused(
        &mut self,
        id: u64,
        code: ErrorCode,
        detail: String,
        retry_after_ms: Option<u64>,
    ) -> Option<Output> {
        self.awaited.remove(&id)?;
        Some(Output::Published { id, result: Err(refusal(code, detail, retry_after_ms)) })
    }

    /// The connection is gone: what was sent and can't be repeated safely fails.
    pub(super) fn cut(&mut self) -> Vec<Output> {
        let mut unclear = Vec::new();
        for (id, awaited) in &mut self.awaited {
            let was_under_way = std::mem::take(&mut awaited.is_under_way);
            if was_under_way && awaited.publication.idempotency_key.is_none() {
                unclear.push(*id);
            }
        }
        unclear.into_iter().map(|id| self.fail(id, PublishError::Unclear(CUT.to_owned()))).collect()
    }

    /// Nothing will be sent any more.
    pub(super) fn end(&mut self, code: u16, reason: &str) -> Vec<Output> {
        let ended = std::mem::take(&mut self.awaited).into_keys();
        let closed = || PublishError::Closed { code, reason: reason.to_owned() };
        ended.map(|id| Output::Published { id, result: Err(closed()) }).collect()
    }

    fn fail(&mut self, id: u64, error: PublishError) -> Output {
        self.awaited.remove(&id);
        Output::Published { id, result: Err(error) }
    }
}

impl Awaited {
    /// The frame that publishes it; one over the broker's limit would close the connection.
    fn frame(
        &mut self,
        id: u64,
        now_ms: u64,
        encoding: Encoding,
        bytes_max: u64,
    ) -> Result<Vec<u8>, PublishError> {
        if now_ms >= *self.sent_ms.get_or_insert(now_ms) + RETRY_MS {
            return Err(PublishError::Unclear(CUT.to_owned()));
        }
        let Awaited { topic, publication, .. } = self;
        let mut frame = Vec::new();
        let (topic, publication) = (topic.clone(), publication.clone());
        Request::Publish { id, topic, publication }.encode(encoding, &mut frame);
        if frame.len() as u64 > bytes_max {
            let detail = format!("publish has {} bytes, the limit is {bytes_max}", frame.len());
            return Err(refusal(ErrorCode::TooLarge, detail, None));
        }
        self.is_under_way = true;
        Ok(frame)
    }
}

fn refusal(code: ErrorCode, detail: String, retry_after_ms: Option<u64>) -> PublishError {
    PublishError::Refused(Refusal { code, detail, retry_after_ms })
}
