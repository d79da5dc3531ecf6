//! `dsx` itself under a name of this package, so that cargo tells the benches where its release build is.

fn main() -> std::process::ExitCode {
    dsx::main()
}
