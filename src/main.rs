//! The `strew` program: everything is in the library, so that it can be tested and embedded.

fn main() -> std::process::ExitCode {
    strew::cli::run(std::env::args_os()).into()
}
