//! `cargo xtask`: everything a developer of gatetap runs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build;
mod demo;
mod interrupt;
mod packages;
mod python;
mod setup;
mod step;
mod test;

/// Everything a developer of gatetap runs.
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    after_help = "Example, on a fresh Debian 12 as root:\n  cargo xtask demo"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what building, demo and tests need; does nothing where all is there.
    ///
    /// Needs root on Debian when packages are missing. Elsewhere it prints the commands to run.
    /// The tools it builds go into the project's folder .tools.
    #[command(after_help = "Example:\n  cargo xtask setup")]
    Setup,
    /// Builds gatetap with its kernel programs, optimised.
    #[command(after_help = "Example:\n  cargo xtask build && sudo target/release/gatetap doctor")]
    Build,
    /// Watches an nginx gateway of its own on loopback and shows the records (needs root).
    ///
    /// Starts a gateway and an upstream on free loopback ports, sends a handful of varied requests,
    /// shows each record as a readable line, one record in full, and the totals. Ends by itself.
    #[command(after_help = "Example:\n  cargo xtask demo")]
    Demo,
    /// Runs every check and test, live ones included, and both benches in their short forms.
    ///
    /// Tests are skipped, with the reason, where what they need is missing: root, BPF, a corpus.
    #[command(after_help = "Examples:\n  cargo xtask test\n  \
                            GATETAP_REQUIRE_LIVE=1 cargo xtask test   (a skipped test fails)")]
    Test,
    /// Measures gatetap beside other programs.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = interrupt::listen().and_then(|()| match arguments.command {
        Command::Setup => setup::run(),
        Command::Build => build::run().map(|_| ()),
        Command::Demo => demo::run(),
        Command::Test => test::run(),
        Command::Bench(bench) => bench::run(&bench),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
