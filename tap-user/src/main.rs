//! The program; everything is in the library.

fn main() -> std::process::ExitCode {
    gatetap::app::main()
}
