//! From arguments and settings to a running pipeline: everything that touches the outside.

mod admin;
mod arguments;
mod config;
mod doctor;
mod ownership;
mod packets;
mod pipeline;
#[cfg(feature = "probes")]
mod probes;
mod progress;
mod read;
mod reload;
mod run;
mod send;
mod settings;
mod source;
mod spool;
mod start;
mod timers;
mod totals;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// What went wrong, in words for the user.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Runs the command line; the exit code is 0 if all went well.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log();
    let outcome = match arguments.command {
        Command::Run(run) => start(Box::new(move || settings::for_run(&run))),
        Command::Watch(watch) => start(Box::new(move || settings::for_watch(&watch))),
        Command::Read(read) => settings::for_read(&read)
            .map_err(Failure::from)
            .and_then(|settings| read::read(&settings)),
        Command::Send(send) => settings::for_send(&send)
            .map_err(Failure::from)
            .and_then(|settings| send::send(&settings)),
        Command::Config(command) => config::config(&command),
        Command::Spool(spool) => spool::show(&spool),
        Command::Doctor(doctor) => Ok(doctor::examine(&doctor)),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("gatetap: {failure}");
        ExitCode::FAILURE
    })
}

/// An error with all that caused it, each once.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

fn start(settings: reload::ReadSettings) -> Result<ExitCode, Failure> {
    run::run(settings).map(|()| ExitCode::SUCCESS)
}

/// Warnings and errors go to standard error; `GATETAP_LOG` sets what is shown.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GATETAP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
