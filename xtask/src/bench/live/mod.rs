//! `cargo xtask bench live`: what watching costs the gateway, beside a logger inside it.

mod case;
mod load;
mod receiver;
mod report;
mod sender;
mod site;
mod tap;
mod usage;
mod wrk;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::case::{Bench, Case, Outcome};
use self::load::{LOADS, Load};
use self::receiver::Receiver;
use self::report::Result as LoadResult;
use self::site::Site;
use self::usage::BpfStatistics;
use crate::packages::{GATEWAY_PROGRAMS, LIVE_BENCH_PROGRAMS};
use crate::{build, setup, step};

#[derive(Debug, Args)]
pub(crate) struct LiveArguments {
    /// One run of a second each: asserts that nothing is lost (or not twice in a row), measures nothing worth
    /// quoting
    #[arg(long)]
    short: bool,
    /// Only loads whose name contains this
    #[arg(long, value_name = "TEXT")]
    load: Option<String>,
    /// Runs of each case; the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// Seconds of each run
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=120))]
    seconds: u8,
    /// Further arguments of `gatetap run`, for instance `--nice=0`
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    tap: Vec<String>,
    /// Write all figures as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints the table.
///
/// # Errors
/// When something is missing or fails, or when anything was lost.
pub(crate) fn run(arguments: &LiveArguments) -> Result<()> {
    ensure!(setup::is_root(), "the bench loads BPF programs, which needs root");
    setup::programs(GATEWAY_PROGRAMS)?;
    setup::programs(LIVE_BENCH_PROGRAMS)?;
    let gatetap = build::run()?;
    raise_file_limit()?;

    let folder = tempfile::Builder::new().prefix("gatetap-bench-").tempdir()?;
    let receiver = Receiver::start()?;
    let site = Site::start(receiver.port)?;
    let seconds = if arguments.short { 1 } else { arguments.seconds };
    let bench = Bench {
        gatetap: &gatetap,
        site: &site,
        receiver: &receiver,
        tap_arguments: &arguments.tap,
        has_more_room: arguments.short,
        folder: folder.path(),
        length: Duration::from_secs(seconds.into()),
    };
    let runs = if arguments.short { 1 } else { arguments.runs };
    let results = arguments.loads().map(|load| {
        let result = measure(&bench, load, runs)?;
        match report::check(std::slice::from_ref(&result)) {
            Err(loss) if arguments.short => {
                // What else the machine did in that second is nobody's fault; twice is.
                eprintln!("    {loss}: once more");
                measure(&bench, load, runs)
            }
            _ => Ok(result),
        }
    });
    let results = results.collect::<Result<Vec<_>>>()?;
    report::print(&results, runs, seconds);
    if let Some(path) = &arguments.json {
        fs::write(path, report::json(&results)).with_context(|| path.display().to_string())?;
    }
    report::check(&results)
}

impl LiveArguments {
    /// The short form.
    pub(super) const SHORT: Self =
        Self { short: true, load: None, runs: 1, seconds: 1, tap: Vec::new(), json: None };

    fn loads(&self) -> impl Iterator<Item = &'static Load> {
        let wanted = self.load.clone().unwrap_or_default();
        LOADS.iter().filter(move |load| load.name.contains(&wanted))
    }
}

/// All cases of one load, interleaved, and one more run that tells what the BPF programs cost:
/// the kernel's statistics of them are not free.
fn measure(bench: &Bench<'_>, load: &'static Load, runs: u8) -> Result<LoadResult> {
    step::announce(load.name);
    let mut outcomes: [Vec<Outcome>; Case::ALL.len()] = Default::default();
    for round in 0..runs {
        for case in Case::in_turn(round) {
            let outcome = bench.run(case, load, outcomes[Case::Watched as usize].last())?;
            eprintln!("    {:20} {:9.0} requests/s", case.name(), outcome.measured.per_second);
            outcomes[case as usize].push(outcome);
        }
    }
    let statistics = BpfStatistics::enable()?;
    let with_statistics = bench.run(Case::Watched, load, None)?;
    drop(statistics);
    Ok(LoadResult { load, outcomes, with_statistics })
}

/// Descriptors that the bench and each of its children need: thousands of connections.
const FILES: u64 = 8_192;

/// Takes as many descriptors as are allowed, for the children too.
fn raise_file_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for writing for the length of the call.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the structure is valid for reading for the length of the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    ensure!(got == 0 && set == 0, "limit of open files: {}", std::io::Error::last_os_error());
    let allowed = limit.rlim_max;
    ensure!(
        allowed >= FILES,
        "{allowed} open files are allowed, {FILES} are needed: raise `ulimit -Hn`"
    );
    Ok(())
}
