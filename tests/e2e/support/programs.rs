//! Programs that tests start beside the nodes, and how a test says that it misses one.
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::PATIENCE;

/// Whether all of these programs can be started; the test counts as skipped otherwise, and says so.
pub fn installed(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !exists(program)).collect();
    if !missing.is_empty() {
        skip(&format!("not installed: {}", missing.join(", ")));
    }
    missing.is_empty()
}

/// Says that this test is skipped, where the captured output of a test that passes would hide it.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "test {} skipped: {reason}", thread.name().unwrap_or("?"));
}

fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// A command that runs in a network namespace of Linux.
pub fn in_namespace(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a program to its end.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(program: &str, args: &[A]) -> Ran {
    run_with_input(program, args, b"")
}

/// Runs a program to its end with this on its standard input.
#[track_caller]
pub fn run_with_input<A: AsRef<OsStr>>(program: &str, args: &[A], input: &[u8]) -> Ran {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the program ends");
    // A program that ends before it has read everything is judged by how it ended.
    let _ = writer.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What a program printed; fails the test unless it ended well.
#[track_caller]
pub fn output<A: AsRef<OsStr> + std::fmt::Debug>(program: &str, args: &[A]) -> String {
    let ran = run(program, args);
    assert_eq!(ran.code, Some(0), "{program} {args:?}: {ran:?}");
    ran.out
}

/// A program that runs while the test goes on, killed when dropped.
pub struct Background {
    child: Child,
    lines: Receiver<String>,
}

impl Background {
    /// Starts it; its standard output is read line by line.
    pub fn start(mut command: Command) -> Background {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("the output is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Background { child, lines }
    }

    /// The next line, if it is there.
    pub fn line(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// The next line that holds `text`, waited for; fails the test when the program ends without one.
    #[track_caller]
    pub fn line_with(&self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with '{text}': {error}"),
            }
        }
    }
}

impl Background {
    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the program runs");
    }

    /// The exit code of the program, waited for.
    #[track_caller]
    pub fn code(&mut self) -> Option<i32> {
        super::wait_for("the program ends", || self.child.try_wait().expect("it can be waited for")).code()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
