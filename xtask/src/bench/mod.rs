//! `cargo xtask bench`: what gatetap costs, measured so that anybody can repeat it.

mod bodies;
mod capture;
mod content;
mod live;
mod measure;
mod read;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Reads a capture file of real nginx traffic, side by side with tshark.
    ///
    /// Makes the capture itself, in a network namespace of its own: 4 KiB JSON and 200 KiB bodies,
    /// 1500-byte packets, nothing dropped. gatetap runs on all cores and, in turn, on one alone;
    /// every body is compared with the file that nginx served. Needs root on Debian.
    #[command(after_help = "Examples:\n  cargo xtask bench read\n  \
                            cargo xtask bench read --short   (a small capture: correctness only)")]
    Read(read::ReadArguments),
    /// Sends load through an nginx gateway: alone, watched, and with a logger inside it.
    ///
    /// Four cases, taken in turn so that what else the machine does hits all alike: the gateway alone; gatetap
    /// attached, but another process selected; gatetap sending full `kong` records to a collector on
    /// loopback; and a Lua logger inside the gateway sending the same. Needs root on Debian.
    #[command(after_help = "Examples:\n  cargo xtask bench live\n  \
                            cargo xtask bench live --load 400 --runs 9\n  \
                            cargo xtask bench live --short   (correctness only, under two minutes)")]
    Live(live::LiveArguments),
}

/// Both in their short forms: that nothing is lost, not how fast it is.
///
/// # Errors
/// As [`run`].
pub(crate) fn smoke() -> anyhow::Result<()> {
    read::run(&read::ReadArguments::SHORT)?;
    live::run(&live::LiveArguments::SHORT)
}

/// Runs the chosen bench.
///
/// # Errors
/// When something is missing, fails or is interrupted.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Read(arguments) => read::run(arguments),
        Bench::Live(arguments) => live::run(arguments),
    }
}
