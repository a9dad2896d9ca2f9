//! The driver with sinks that behave as a script says, in time that is not real.

use super::*;
use crate::export::sink::attempt::BatchLimits;
use crate::export::sink::queue::{Intake, queue};
use crate::export::totals::SinkTotals;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{HashSet, VecDeque};
use std::io;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What a sink does with one attempt.
#[derive(Debug, Clone)]
enum Step {
    Deliver,
    /// Of the records given, so many per cent are delivered; then it fails.
    Fail {
        percent: usize,
        wait: Option<Duration>,
    },
    Reject {
        percent: usize,
    },
    Panic,
}

/// A sink that follows a script, one step an attempt, and delivers everything behind its end.
struct Scripted {
    limits: BatchLimits,
    concurrency: usize,
    script: Mutex<VecDeque<(Duration, Step)>>,
    seen: Arc<Mutex<Seen>>,
}

/// What the receiver knows.
#[derive(Debug, Default)]
struct Seen {
    delivered: Vec<String>,
    rejected: Vec<String>,
    /// When each attempt began, and with how many records.
    attempts: Vec<(Instant, usize)>,
    /// The first record of each attempt.
    begun: Vec<String>,
    under_way: usize,
    most_under_way: usize,
    closed: bool,
}

impl Scripted {
    fn act(&self, step: &Step, records: &[Record]) -> Attempt {
        assert!(!matches!(step, Step::Panic), "a sink with a defect");
        let seen = &mut self.seen.lock().unwrap();
        seen.under_way -= 1;
        let ids = records.iter().map(|record| record.id.to_string());
        let share = |percent: usize| records.len() * percent / 100;
        match *step {
            Step::Deliver => {
                seen.delivered.extend(ids);
                Attempt::delivered(records.len())
            }
            Step::Fail { percent, wait } => {
                let delivered = share(percent).min(records.len() - 1);
                seen.delivered.extend(ids.take(delivered));
                let error = Failure::Write(io::ErrorKind::BrokenPipe.into());
                Attempt { delivered, trouble: Some(Trouble::Later { error, wait }) }
            }
            Step::Reject { percent } => {
                let delivered = share(percent).min(records.len() - 1);
                seen.rejected.push(records[delivered].id.to_string());
                seen.delivered.extend(ids.take(delivered));
                let reason = Rejection::Status(400);
                Attempt { delivered, trouble: Some(Trouble::Rejected { reason }) }
            }
            Step::Panic => unreachable!(),
        }
    }
}

impl Sink for Scripted {
    fn limits(&self) -> BatchLimits {
        self.limits
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn attempt(&self, records: Vec<Record>, _round: Round) -> Attempt {
        let (takes, step) = {
            let mut seen = self.seen.lock().unwrap();
            seen.attempts.push((Instant::now(), records.len()));
            seen.begun.push(records[0].id.to_string());
            seen.under_way += 1;
            seen.most_under_way = seen.most_under_way.max(seen.under_way);
            let step = self.script.lock().unwrap().pop_front();
            step.unwrap_or((Duration::ZERO, Step::Deliver))
        };
        sleep(takes).await;
        self.act(&step, &records)
    }

    async fn close(&self) {
        self.seen.lock().unwrap().closed = true;
    }
}

/// A driver under test.
struct Rig {
    intake: Intake,
    counters: Arc<Counters>,
    seen: Arc<Mutex<Seen>>,
    end: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

fn start(
    concurrency: usize,
    limits: BatchLimits,
    dead_letter: Option<DeadLetter>,
    script: impl IntoIterator<Item = (Duration, Step)>,
) -> Rig {
    let counters = Arc::new(Counters::new("test".to_owned()));
    let (intake, backlog) = queue(1 << 20, Arc::clone(&counters));
    let seen = Arc::<Mutex<Seen>>::default();
    let script = Mutex::new(script.into_iter().collect());
    let sink = Scripted { limits, concurrency, script, seen: Arc::clone(&seen) };
    let (end, ending) = watch::channel(None);
    let driver = Driver::new(sink, backlog, Retry::default(), dead_letter, Arc::clone(&counters));
    let task = tokio::spawn(driver.run(ending));
    Rig { intake, counters, seen, end, task }
}

impl Rig {
    fn give(&mut self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.intake.offer(record(&number.to_string()));
        }
    }

    /// Lets it deliver all there is.
    async fn finish(self) -> (SinkTotals, Seen) {
        drop(self.intake);
        tokio::time::timeout(PATIENCE, self.task).await.expect("the driver ends").unwrap();
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        (self.counters.totals(), seen)
    }
}

fn record(id: &str) -> Record {
    Record { id: id.into(), duration_ns: None, bytes: Bytes::from(format!("{id}\n")) }
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

const fn limits(records: usize) -> BatchLimits {
    BatchLimits { records, bytes: 1 << 20 }
}

/// Far more than any script takes.
const PATIENCE: Duration = Duration::from_secs(7 * 86_400);
const NOW: Duration = Duration::ZERO;

fn fail(percent: usize) -> (Duration, Step) {
    (NOW, Step::Fail { percent, wait: None })
}

fn adds_up(totals: &SinkTotals) -> bool {
    let given = totals.given_records;
    let accounted = totals.queued_records
        + totals.delivered_records
        + totals.rejected_records
        + totals.dropped.total();
    given == accounted
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_goes_again_from_the_record_that_failed() {
    let mut rig = start(1, limits(4), None, [fail(50), fail(0), (NOW, Step::Deliver)]);
    rig.give(0..4);
    let (totals, seen) = rig.finish().await;
    assert_eq!(seen.delivered, ids(0..4));
    assert_eq!(seen.attempts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 2, 2]);
    assert_eq!((totals.failures, totals.retries), (2, 2));
    assert_eq!(totals.failures_by_kind.get("write"), Some(&2));
    assert!(seen.closed);
}

#[tokio::test(start_paused = true)]
async fn waits_double_and_a_receiver_may_ask_for_longer_ones() {
    let hour = Step::Fail { percent: 0, wait: Some(Duration::from_secs(3_600)) };
    let minute = Step::Fail { percent: 0, wait: Some(Duration::from_secs(60)) };
    let mut rig = start(1, limits(1), None, [fail(0), fail(0), (NOW, minute), (NOW, hour)]);
    rig.give(0..1);
    let (_, seen) = rig.finish().await;
    let waits: Vec<_> =
        seen.attempts.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).collect();
    assert!((50..=101).contains(&waits[0]), "{waits:?}");
    assert!((100..=201).contains(&waits[1]), "{waits:?}");
    assert!((60_000..60_010).contains(&waits[2]), "{waits:?}");
    assert!((300_000..300_010).contains(&waits[3]), "an absurd wait is cut: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn concurrent_attempts_go_again_in_order_once_all_have_ended() {
    let slow = Duration::from_secs(2);
    let quick = Duration::from_millis(10);
    let script = [quick, slow].map(|takes| (takes, Step::Fail { percent: 0, wait: None }));
    let mut rig = start(2, limits(1), None, script);
    rig.give(0..6);
    let (totals, seen) = rig.finish().await;
    assert_eq!(seen.begun, ["0", "1", "0", "1", "2", "3", "4", "5"]);
    assert_eq!(seen.most_under_way, 2);
    assert!(seen.attempts[2].0 - seen.attempts[0].0 >= slow, "both had ended");
    assert_eq!(totals.delivered_records, 6);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_record_is_kept_with_its_reason_and_the_others_go_on_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.ndjson");
    let settings = crate::export::DeadLetterSettings::at(path.clone());
    let dead_letter = DeadLetter::open(settings, "test").unwrap();
    let mut rig = start(1, limits(4), Some(dead_letter), [(NOW, Step::Reject { percent: 50 })]);
    let begin = Instant::now();
    rig.give(0..4);
    let (totals, seen) = rig.finish().await;
    assert_eq!(
        (seen.delivered, seen.rejected),
        (vec!["0".into(), "1".into(), "3".into()], ids(2..3))
    );
    assert!(begin.elapsed() < Duration::from_millis(50), "nothing waited");
    assert_eq!((totals.rejected_records, totals.dead_letter.kept), (1, 1));
    assert_eq!(totals.rejected_by_kind.get("status_4xx"), Some(&1));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.contains(r#""id":"2","reason":"the receiver answered with status 400""#),
        "{text}"
    );
    assert!(adds_up(&totals));
}

#[tokio::test(start_paused = true)]
async fn without_a_dead_letter_file_a_rejected_record_is_counted_as_lost() {
    let mut rig = start(1, limits(4), None, [(NOW, Step::Reject { percent: 0 })]);
    rig.give(0..2);
    let (totals, _) = rig.finish().await;
    assert_eq!((totals.rejected_records, totals.dead_letter.lost), (1, 1));
    assert!(adds_up(&totals));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_tried_again() {
    let mut rig = start(1, limits(2), None, [(NOW, Step::Panic)]);
    rig.give(0..2);
    let (totals, seen) = rig.finish().await;
    assert_eq!(seen.delivered, ids(0..2));
    assert_eq!(totals.failures_by_kind.get("aborted"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_time_what_is_left_is_counted() {
    let never = (Duration::from_secs(86_400), Step::Deliver);
    let mut rig = start(1, limits(2), None, [(NOW, Step::Deliver), never]);
    rig.give(0..5);
    sleep(Duration::from_secs(1)).await;
    rig.end.send_replace(Some(Instant::now() + Duration::from_secs(3)));
    let (totals, seen) = rig.finish().await;
    assert_eq!((totals.delivered_records, totals.dropped.shutdown), (2, 3));
    assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
    assert!(adds_up(&totals) && !seen.closed);
}

/// The sink's task is woken once for many records, not once for each.
#[tokio::test(start_paused = true)]
async fn records_that_come_one_after_the_other_are_taken_together() {
    let mut rig = start(1, limits(1_000), None, []);
    for number in 0..100 {
        rig.give(number..number + 1);
        sleep(Duration::from_micros(20)).await;
    }
    let (_, seen) = rig.finish().await;
    assert_eq!(seen.delivered, ids(0..100));
    assert!(seen.attempts.len() <= 30, "{} attempts", seen.attempts.len());
}

/// However many records come while nothing is delivered, memory has its bound, those included
/// that are under way.
#[tokio::test(start_paused = true)]
async fn memory_is_bounded() {
    let never = (Duration::from_secs(86_400), Step::Deliver);
    let mut rig = start(1, limits(1_000), None, [never]);
    for number in 0..1_000 {
        let bytes = Bytes::from(vec![b'x'; 10_000]);
        rig.intake.offer(Record { bytes, ..record(&number.to_string()) });
        if number % 50 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let totals = rig.counters.totals();
    assert!(totals.queued_bytes <= 1 << 20, "{totals:?}");
    assert_eq!(totals.queued_records, 104);
    assert_eq!(totals.dropped.queue_full, 896);
    assert!(adds_up(&totals));
}

fn steps() -> impl Strategy<Value = (Duration, Step)> {
    let wait = prop_oneof![Just(None), (0_u64..100).prop_map(|it| Some(Duration::from_secs(it)))];
    let step = prop_oneof![
        2 => Just(Step::Deliver),
        3 => (0_usize..=100, wait).prop_map(|(percent, wait)| Step::Fail { percent, wait }),
        2 => (0_usize..=100).prop_map(|percent| Step::Reject { percent }),
    ];
    (0_u64..3_000).prop_map(Duration::from_millis).prop_flat_map(move |it| (Just(it), step.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a receiver does: every record is delivered, rejected, or counted as dropped, the
    /// totals say what the receiver saw, and with one attempt at a time the order is kept.
    #[test]
    fn nothing_goes_missing_whatever_the_script(
        script in prop::collection::vec(steps(), 0..20),
        gaps in prop::collection::vec(0_u64..2_000, 1..40),
        concurrency in 1_usize..5,
        batch in 1_usize..6,
        deadline in prop::option::of(0_u64..60_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let count = gaps.len();
        let (totals, seen) = runtime.block_on(async {
            let mut rig = start(concurrency, limits(batch), None, script);
            for (number, gap) in gaps.into_iter().enumerate() {
                rig.give(number..number + 1);
                sleep(Duration::from_millis(gap)).await;
            }
            if let Some(deadline) = deadline {
                rig.end.send_replace(Some(Instant::now() + Duration::from_millis(deadline)));
            }
            rig.finish().await
        });
        prop_assert!(adds_up(&totals), "{:?}", totals);
        prop_assert_eq!(totals.queued_records, 0);
        prop_assert_eq!(totals.given_records, count as u64);
        prop_assert_eq!(totals.rejected_records, seen.rejected.len() as u64);
        prop_assert_eq!(totals.delivered_records, seen.delivered.len() as u64);
        prop_assert!(seen.most_under_way <= concurrency);
        let all: HashSet<_> = seen.delivered.iter().chain(&seen.rejected).cloned().collect();
        prop_assert_eq!(all.len() as u64 + totals.dropped.total(), count as u64);
        if deadline.is_none() {
            prop_assert_eq!(totals.dropped.total(), 0);
        }
        if concurrency == 1 {
            let numbers: Vec<usize> =
                seen.delivered.iter().map(|id| id.parse().unwrap()).collect();
            prop_assert!(numbers.is_sorted_by(|one, next| one < next), "{:?}", numbers);
        }
    }
}
