fn main() -> std::process::ExitCode {
    dsx::main()
}
