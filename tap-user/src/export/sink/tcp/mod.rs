//! A collector that takes records on a TCP connection, with or without TLS.
//!
//! ```text
//! attempt ──┐                       ┌─ attempts: who waits for what
//! attempt ──┼── queue ── worker ────┼─ ledger: [ kept | in flight | waiting ]
//! attempt ──┘   (in order)          ├─ pace, watch: how fast, how long
//!                                   └─ connection ── metered ── kernel
//! ```
//!
//! # What "delivered" means
//! Nobody answers on such a connection. The most that can be known is what the collector's
//! *kernel* has acknowledged: a record is delivered when the kernel on this side says (SIOCOUTQ)
//! that everything up to its last byte is. Several attempts are under way at once, so waiting
//! for acknowledgements costs no throughput.
//!
//! # What happens at the end of a connection
//! - Records that are not acknowledged are sent again on the next connection.
//! - After an abnormal end, so are the last ones that were (the replay window): a collector that
//!   is killed loses what it has not read, and its kernel had acknowledged that. An end is abnormal
//!   if the connection broke or stalled, if bytes were not acknowledged, and if the collector
//!   closed within a second of taking records.
//! - A stream that the collector ends later than that has been read to its end.
//!
//! There the guarantee ends: a collector that loses what it has read, or more than the replay
//! window, has lost it. Everybody between (a proxy, a load balancer) counts as the collector.

mod address;
mod attempts;
mod connect;
mod connection;
mod failure;
mod ledger;
mod metered;
mod pace;
pub(super) mod settings;
mod tls;
mod watch;
mod worker;

pub use address::Address;
pub(in crate::export) use failure::{ConnectError, TcpFailure};
pub use settings::TcpSettings;

use super::attempt::{Attempt, BatchLimits, Round, Sink, Trouble};
use super::failure::Failure;
use crate::export::record::Record;
use crate::export::totals::Counters;
use attempts::{Job, Outcome};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use worker::{Request, Worker};

/// What one attempt takes.
const LIMITS: BatchLimits = BatchLimits { records: 512, bytes: 1 << 20 };
/// Attempts under way: together they are more than what the kernel buffers of a connection.
const CONCURRENCY: usize = 8;

pub(super) struct TcpSink {
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<()>,
}

impl TcpSink {
    /// Starts the task that owns the connection.
    pub(super) fn start(runtime: &Handle, settings: TcpSettings, counters: Arc<Counters>) -> Self {
        if !settings.tls_verify {
            counters.unverified();
        }
        let (requests, received) = mpsc::unbounded_channel();
        let worker = Worker::new(Arc::new(settings), received, counters);
        Self { requests, task: runtime.spawn(worker.run()) }
    }

    fn enqueue(&self, records: Vec<Record>, round: Round) -> oneshot::Receiver<Outcome> {
        let records = records.into_iter().map(|record| record.bytes).collect();
        let (job, outcome) = Job::new(records, round);
        // If the task is gone, so is the other end of `outcome`.
        let _ = self.requests.send(Request::Deliver(job));
        outcome
    }
}

impl Drop for TcpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink for TcpSink {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    async fn attempt(&self, records: Vec<Record>, round: Round) -> Attempt {
        attempt(self.enqueue(records, round).await)
    }

    async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let _ = self.requests.send(Request::Close(done));
        let _ = closed.await;
    }
}

fn attempt(outcome: Result<Outcome, oneshot::error::RecvError>) -> Attempt {
    match outcome {
        Ok(Outcome { delivered, failure: None }) => Attempt::delivered(delivered),
        Ok(Outcome { delivered, failure: Some(TcpFailure::Behind) }) => {
            Attempt { delivered, trouble: Some(Trouble::Behind) }
        }
        Ok(Outcome { delivered, failure: Some(failure) }) => {
            Attempt::failed(delivered, Failure::Tcp(Box::new(failure)))
        }
        Err(_) => Attempt::failed(0, Failure::Aborted),
    }
}

#[cfg(test)]
mod throughput;
