use super::examples::{example, with_id};
use super::*;
use crate::gateway::Observation;

fn rules(filter: &str, sampling: &str) -> Rules {
    Rules {
        filter: Filter::new(&serde_saphyr::from_str(filter).unwrap()).unwrap(),
        sampling: Some(Sampling::new(&serde_saphyr::from_str(sampling).unwrap()).unwrap()),
        ..Rules::default()
    }
}

fn dropped(policy: &Policy) -> [u64; 3] {
    let totals = policy.counters().totals();
    DropReason::ALL.map(|reason| totals.dropped[&reason])
}

fn ongoing(mut observation: Observation) -> Observation {
    observation.exchange.outcome = Outcome::Ongoing;
    observation
}

#[test]
fn every_exchange_is_released_or_counted_under_its_reason() {
    let mut policy = Policy::new(Rules {
        rate_limit: Some(RateLimit::new(
            serde_saphyr::from_str("{records_per_second: 10, burst: 3}").unwrap(),
        )),
        ..rules("exclude: [{paths: [/health]}]", "rates: {404: 0}")
    });
    let mut released = 0;
    for (target, status) in [("/health", 200), ("/", 404), ("/", 404), ("/health", 404)] {
        released += usize::from(policy.release(example("GET", target, status)).is_some());
    }
    for _ in 0..5 {
        released += usize::from(policy.release(example("GET", "/", 200)).is_some());
    }
    assert_eq!((released, dropped(&policy)), (3, [2, 2, 2]));
}

#[test]
fn what_left_unfinished_leaves_at_its_end_too() {
    let mut policy = Policy::new(rules("exclude: [{response_size: {min: 1KiB}}]", "rates: {}"));
    assert!(policy.release(ongoing(example("GET", "/", 200))).is_some());
    let mut grown = example("GET", "/", 200);
    grown.exchange.response.as_mut().unwrap().body.wire_length = 10_000;
    assert!(policy.release(ongoing(grown.clone())).is_some());
    assert!(policy.release(grown.clone()).is_some());
    // Another exchange with the same number is another one.
    assert!(policy.release(grown).is_none());
    assert_eq!(dropped(&policy), [1, 0, 0]);
}

#[test]
fn what_did_not_leave_unfinished_is_decided_at_its_end() {
    let mut policy = Policy::new(rules("include: [{statuses: [5xx]}]", "rates: {}"));
    let mut waiting = ongoing(with_id(example("GET", "/", 503), "id"));
    let response = waiting.exchange.response.take();
    assert!(policy.release(waiting.clone()).is_none());
    assert_eq!(policy.counters().totals().dropped_early, 1);
    waiting.exchange.response = response;
    waiting.exchange.outcome = Outcome::Complete;
    assert!(policy.release(waiting).is_some());
    assert_eq!(dropped(&policy), [0, 0, 0]);
}

#[test]
fn all_rules_are_in_the_totals_from_the_start() {
    let mut policy = Policy::new(Rules::default());
    let before = policy.counters().totals().redacted;
    assert_eq!(before.get("header:authorization"), Some(&0));
    let mut secret = example("GET", "/?token=a&token=b", 200);
    examples::set_header(&mut secret, "Authorization", "x");
    policy.release(secret).unwrap();
    let after = policy.counters().totals().redacted;
    assert_eq!((after["header:authorization"], after["query:token"]), (1, 2));
    assert_eq!(before.len(), after.len());
}
