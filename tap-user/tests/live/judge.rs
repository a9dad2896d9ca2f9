//! One log line to one record, on both legs, for a whole run.

use super::comparison::{self, Comparison, Difference, Records};
use super::content::Content;
use super::fake;
use super::log_rules;
use super::record::Record;
use super::site::{self, Site};
use super::traffic::Account;
use std::collections::HashMap;
use xtask::rig::LogEntry;

/// What is known of a run by others than the tap.
pub(crate) struct Judge<'a> {
    site: &'a Site,
    /// Exchanges that the tap must report, exactly once each.
    accounts: &'a [Account],
    gateway_log: HashMap<String, Vec<LogEntry>>,
    origin_log: HashMap<String, Vec<LogEntry>>,
    cap: u64,
    /// Requests that an upstream connection had carried before the tap joined it, by the tap's
    /// serial number of the connection.
    joined_after: HashMap<u64, u64>,
    differences: Vec<Difference>,
}

impl<'a> Judge<'a> {
    /// `others` is how many more requests the gateway has logged.
    pub(crate) fn new(site: &'a Site, accounts: &'a [Account], others: usize, cap: u64) -> Self {
        let gateway_log = comparison::by_id(site::log_of(&site.gateway, accounts.len() + others));
        let proxied = |line: &&LogEntry| {
            line.text("upstream_addr").ends_with(&format!(":{}", site.ports.origin))
        };
        let expected = gateway_log.values().flatten().filter(proxied).count();
        let origin_log = comparison::by_id(site::log_of(&site.origin, expected));
        let (joined_after, differences) = (HashMap::new(), Vec::new());
        Self { site, accounts, gateway_log, origin_log, cap, joined_after, differences }
    }

    /// Records as they must be, made up from what is known.
    pub(crate) fn fake_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for account in self.accounts {
            let id = &account.request.id;
            for line in self.gateway_log.get(id).into_iter().flatten() {
                records.push(fake::client_leg(account, line));
                if log_rules::was_proxied(line) {
                    let origin = self.origin_log.get(id).and_then(|lines| lines.first());
                    records.push(fake::upstream_leg(account, origin));
                }
            }
        }
        records
    }

    /// Compares all of them.
    pub(crate) fn judge(mut self, mut records: Records) -> Vec<Difference> {
        for account in self.accounts {
            let id = &account.request.id;
            let client = records.take("client", id);
            let upstream = records.take("upstream", id);
            self.client_leg(account, &client);
            self.upstream_leg(account, &upstream);
        }
        for (leg, id) in records.rest() {
            let mut comparison =
                Comparison::new(id, if leg == "client" { "client" } else { "upstream" });
            comparison.that("exchange of this run", true, false);
            self.differences.extend(comparison.into_differences());
        }
        self.differences
    }

    fn client_leg(&mut self, account: &Account, records: &[Record]) {
        let mut count = Comparison::new(&account.request.id, "client");
        let lines = self.gateway_log.get(&account.request.id).map_or(&[][..], Vec::as_slice);
        count.that("lines in the gateway's log", 1, lines.len());
        if let (Some(record), [line]) = (count.only(records), lines) {
            let comparison = Comparison::client_leg(line, account, record, self.cap);
            self.differences.extend(comparison.into_differences());
        }
        self.differences.extend(count.into_differences());
    }

    fn upstream_leg(&mut self, account: &Account, records: &[Record]) {
        let id = &account.request.id;
        let mut comparison = Comparison::new(id, "upstream");
        let proxied = self.gateway_log.get(id).into_iter().flatten().any(log_rules::was_proxied);
        comparison.that("upstream legs", usize::from(proxied), records.len());
        let line = self.origin_log.get(id).and_then(|lines| lines.first()).cloned();
        match (line, records) {
            (Some(line), [record]) => self.against_origin(&line, account, record),
            // Only the upstream that never answers keeps no log.
            (None, [record]) => comparison.that("has a response", false, record.response.is_some()),
            _ => {}
        }
        self.differences.extend(comparison.into_differences());
    }

    fn against_origin(&mut self, line: &LogEntry, account: &Account, record: &Record) {
        let id = &account.request.id;
        let is_put = account.request.method == "PUT";
        let stored = is_put.then(|| self.site.stored(id)).flatten().map(|file| Content::of(&file));
        let stored = stored.as_ref();
        let compared = Comparison::upstream_leg(line, account, stored, record, self.cap);
        self.differences.extend(compared.into_differences());

        let mut comparison = Comparison::new(id, "upstream");
        if is_put {
            comparison.that("stored by the origin", true, stored.is_some());
        }
        let logged = line.number("connection_requests").unwrap_or(0);
        let seen = record.connection.request_ordinal.unwrap_or(0);
        let before = logged.checked_sub(seen);
        let serial = record.connection.serial;
        // A connection joined in the middle may differ from nginx's count, but always by as much.
        let joined = record.connection.joined_mid_stream;
        let expected = match before {
            Some(before) if joined => *self.joined_after.entry(serial).or_insert(before),
            _ => 0,
        };
        comparison.that("$connection_requests", Some(expected), before);
        self.differences.extend(comparison.into_differences());
    }
}
