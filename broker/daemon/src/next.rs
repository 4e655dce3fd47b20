//! The binary `fanfare-next`: the broker as its own successor, to be met by tests of two versions beside each other.

#[path = "main.rs"]
mod broker;

fn main() -> std::process::ExitCode {
    broker::main()
}
