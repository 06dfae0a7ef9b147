//! Link options of the released binary.

fn main() {
    println!("cargo::rerun-if-changed=engine/build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let linux = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    // rustc links with its own LLD there. Generic code instantiated in several
    // crates is the same machine code many times over; folding it makes the
    // binary smaller.
    if is("PROFILE", "release") && linux {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
