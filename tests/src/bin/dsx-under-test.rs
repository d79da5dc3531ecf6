//! `dsx` itself under a name of this package, so that cargo tells the tests where it is.

fn main() -> std::process::ExitCode {
    dsx::main()
}
