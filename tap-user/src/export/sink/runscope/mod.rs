//! Runscope's API: one message per request, as Kong's plugin posts them; but the reply is read,
//! because a success can hold an error of the message inside.

mod reply;
pub(super) mod settings;

pub use settings::RunscopeSettings;

use super::attempt::{Attempt, BatchLimits, Round, Sink, Trouble};
use super::http::{Poster, Receiver, endpoint};
use crate::document::Problem;
use crate::export::record::Record;
use crate::export::totals::Counters;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use std::sync::Arc;

/// Its API takes one message per request; a list of them is not documented.
const LIMITS: BatchLimits = BatchLimits { records: 1, bytes: usize::MAX };
const RECEIVER: Receiver = Receiver {
    credentials: "access_token (it needs the scope message:write) and bucket_key",
    address: "bucket_key and api_endpoint",
};

#[derive(Debug)]
pub(super) struct RunscopeSink {
    poster: Poster,
    concurrency: usize,
    counters: Arc<Counters>,
}

impl RunscopeSink {
    pub(super) fn new(
        settings: &RunscopeSettings,
        counters: Arc<Counters>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            poster: poster(settings)?,
            concurrency: settings.concurrency.requests(),
            counters,
        })
    }

    async fn deliver(&self, record: &Record) -> Result<(), Trouble> {
        let reply = self.poster.post(record, HeaderMap::new()).await?;
        match reply::judge(&reply.body)? {
            reply::Taken::Fully => {}
            reply::Taken::Doubtfully(doubt) => self.counters.warned(&doubt),
        }
        Ok(())
    }
}

fn poster(settings: &RunscopeSettings) -> Result<Poster, Problem> {
    let segments = ["buckets", settings.bucket_key()?, "messages"];
    let url = endpoint("api_endpoint", settings::EXAMPLE, &settings.api_endpoint, &segments)?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, settings.authorization()?)]);
    Poster::new(url, headers, RECEIVER, settings.client())
}

impl Sink for RunscopeSink {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn attempt(&self, records: Vec<Record>, _round: Round) -> Attempt {
        for (delivered, record) in records.iter().enumerate() {
            if let Err(trouble) = self.deliver(record).await {
                return Attempt { delivered, trouble: Some(trouble) };
            }
        }
        Attempt::delivered(records.len())
    }
}
