//! Compilers that do not do what they should. That the real one does is in `tests/it`.

use std::time::{Duration, Instant};

use super::worker::Job;
use super::*;
use crate::builtin;
use crate::engine::Settings;

fn sandbox() -> Sandbox {
    Sandbox::new(1, Settings::of([])).unwrap()
}

fn shell(script: &str) -> Compiler {
    let arguments = ["-c", script].map(OsString::from).to_vec();
    Compiler::Process { program: "/bin/sh".into(), arguments }
}

fn fault(script: &str) -> Fault {
    let budget = Budget { compile_cpu_ms: 1_000, ..Budget::default() };
    let component = builtin::component("rate-limit").unwrap();
    shell(script).compile(&sandbox(), &budget, component).map(|_| ()).unwrap_err()
}

#[test]
fn a_thread_compiles() {
    let component = builtin::component("rate-limit").unwrap();
    Compiler::Thread.compile(&sandbox(), &Budget::default(), component).unwrap();
    let fault = Compiler::Thread.compile(&sandbox(), &Budget::default(), b"none").map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::Component(_)), "{fault:?}");
}

#[test]
fn one_that_does_not_end_is_ended() {
    let time = Fault::Limit { key: "budget.compile_cpu_ms", limit: 1_000 };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let began = Instant::now();
    assert_eq!(fault(&format!("echo $$ > {}; exec sleep 60", file.display())), time);
    assert!((2..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let process = std::fs::read_to_string(file).unwrap();
    let process: u32 = process.trim().parse().unwrap();
    assert!(!PathBuf::from(format!("/proc/{process}")).exists(), "{process} is still there");
    // Nor does one that has nothing more to say.
    assert_eq!(fault("exec >&- 2>&-; exec sleep 60"), time);
    // What the kernel does at the limit of CPU time.
    assert_eq!(fault("kill -XCPU $$"), time);
}

#[test]
fn what_it_says_is_told() {
    let text = |code: u8| fault(&format!("cat > /dev/null; echo because >&2; exit {code}"));
    assert_eq!(text(worker::COMPONENT), Fault::Component("because".to_owned()));
    assert_eq!(text(worker::START), Fault::Start("because".to_owned()));
    let memory = Fault::memory(&Budget::default());
    assert_eq!(text(worker::MEMORY), memory);
    assert_eq!(fault("echo memory allocation of 64 bytes failed >&2; kill -ABRT $$"), memory);
    // Nor is it a limit of ours if a component only says so.
    let said = fault("cat > /dev/null; echo memory allocation of >&2; exit 1");
    assert_eq!(said, Fault::Component("memory allocation of".to_owned()));
    // The kernel may be short of memory.
    let Fault::Component(ended) = fault("kill -KILL $$") else { panic!() };
    assert!(ended.starts_with("the compiler ended with signal: 9"), "{ended}");
    let Fault::Component(died) = fault("echo stack overflow >&2; kill -SEGV $$") else { panic!() };
    assert!(died.contains("signal: 11") && died.ends_with("stack overflow"), "{died}");
}

#[test]
fn more_than_it_may_say_is_not_kept() {
    let Fault::Component(died) = fault("yes because | head -c 10000000 >&2; exit 1") else { panic!() };
    assert!(died.len() <= 4096, "{}", died.len());
    let Fault::Component(large) = fault("exec yes") else { panic!() };
    assert!(large.contains("more than 536870912 bytes"), "{large}");
}

#[test]
fn what_is_no_code_is_refused() {
    assert!(matches!(fault("cat"), Fault::Start(_)));
    let absent = Compiler::Process { program: "/absent".into(), arguments: Vec::new() };
    let started = absent.compile(&sandbox(), &Budget::default(), b"").map(|_| ()).unwrap_err();
    assert!(matches!(&started, Fault::Start(text) if text.contains("cannot start /absent")), "{started:?}");
}

#[test]
fn a_compiler_has_nothing_of_its_parent() {
    // `sh` sets variables of its own, which `env` therefore shows too.
    let Fault::Component(found) = fault("env >&2; ls /proc/self/fd | wc -l >&2; exit 1") else { panic!() };
    let known = ["RAYON_NUM_THREADS=", "MIMALLOC_", "PWD=", "SHLVL=", "_=", "OLDPWD="];
    let foreign = |line: &&str| line.contains('=') && !known.iter().any(|name| line.starts_with(name));
    assert_eq!(found.lines().find(foreign), None, "{found}");
    // What this process was itself given by others goes on, and nothing that it opened.
    let _file = std::fs::File::open("/proc/self/stat").unwrap();
    let given = std::process::Command::new("ls").arg("/proc/self/fd").output().unwrap().stdout;
    let given = String::from_utf8(given).unwrap().lines().count().to_string();
    assert_eq!(found.lines().last().map(str::trim), Some(given.as_str()), "{found}");
}

#[test]
fn a_job_is_read_as_it_was_written() {
    let settings = Settings::of([&Budget { composed: true, ..Budget::default() }]).deterministic(true);
    let job = Job { settings, memory_bytes_max: 1 << 40, cpu_seconds_max: 300 };
    assert_eq!(serde_json::from_str::<Job>(&serde_json::to_string(&job).unwrap()).unwrap(), job);
    assert!(serde_json::from_str::<Job>("{}").is_err());
}

#[test]
fn a_thread_that_takes_too_long_is_not_waited_for() {
    let budget = Budget { compile_cpu_ms: 0, ..Budget::default() };
    let component = builtin::component("span-metrics").unwrap();
    let began = Instant::now();
    let fault = Compiler::Thread.compile(&sandbox(), &budget, component).map(|_| ()).unwrap_err();
    assert_eq!(fault, Fault::Limit { key: "budget.compile_cpu_ms", limit: 0 });
    assert!(began.elapsed() < Duration::from_secs(5));
}
