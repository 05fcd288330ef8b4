//! The system's own tools, called by name: `ip` and `tc` of iproute2.
//!
//! They are there on every machine that can make namespaces, they say in plain words what they were asked, and a failure reads as one
//! would see it in a shell. Speaking netlink for all of it would be a second iproute2. Whatever is asked often while a scenario runs does
//! not come here (`queues`).
//!
//! Invariant: a command that fails is an error with the command and the words of the tool in it.
//!
//! Not here: what is made with them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Why a lab could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    /// A tool is missing.
    #[error("cannot start {program}; install the package {package}")]
    Missing {
        /// The tool.
        program: &'static str,
        /// Where Debian has it.
        package: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A tool refused.
    #[error("{command}: {said}")]
    Refused {
        /// What was asked, with everything that was given on standard input.
        command: String,
        /// What it said.
        said: String,
    },
    /// Only root can make namespaces.
    #[error("network namespaces need root; run it as root, for instance with sudo")]
    NotRoot,
    /// More hosts than addresses.
    #[error("{0} hosts are too many; at most {most} have an address", most = super::HOSTS_MAX)]
    TooManyHosts(usize),
    /// A host that does not exist.
    #[error("there is no host {0}")]
    NoHost(usize),
    /// A pair of zones without a link.
    #[error("there is no link from zone {from:?} to zone {to:?}; declare one in `between`")]
    NoZoneLink {
        /// Where it would begin.
        from: String,
        /// Where it would end.
        to: String,
    },
    /// The kernel's queues were asked for what they cannot do.
    #[error("{0} needs the emulator, and this lab runs on the kernel's queues; bring it up with the emulator")]
    NeedsEmulator(&'static str),
    /// A namespace that cannot be entered.
    #[error("cannot enter the namespace {name}")]
    Enter {
        /// The namespace.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A host's device cannot be made.
    #[error(
        "cannot make a TUN device in the namespace {name}; the kernel needs the module `tun`, and the system its device file"
    )]
    Device {
        /// The namespace.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A thread or a socket of the lab itself cannot do its work.
    #[error("cannot work within the lab")]
    Thread {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The kernel does not say what its queues did.
    #[error("cannot read the counters of the queues in the namespace {name}")]
    Counters {
        /// The namespace.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Runs a tool to its end.
pub(crate) fn run(program: &'static str, words: &[&str]) -> Result<String, LabError> {
    run_with(program, words, "")
}

/// Runs a tool in its batch mode within a namespace: one process for many commands, since starting one takes longer than what it does.
pub(crate) fn batch(program: &'static str, namespace: &str, lines: &[String]) -> Result<String, LabError> {
    run_with(program, &["-n", namespace, "-batch", "-"], &lines.join("\n"))
}

fn run_with(program: &'static str, words: &[&str], input: &str) -> Result<String, LabError> {
    let missing = |source| LabError::Missing { program, package: "iproute2", source };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that has stopped reading says why when it ends.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let input = if input.is_empty() { String::new() } else { format!(" <<< {input:?}") };
    Err(LabError::Refused { command: format!("{program} {}{input}", words.join(" ")), said })
}

/// Does something within a namespace, on a thread of its own that ends with it: what it opens stays there.
pub(crate) fn inside<T: Send>(
    namespace: &str,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<io::Result<T>, LabError> {
    let enter = || -> io::Result<()> {
        let door = open(format!("/run/netns/{namespace}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(move_into_link_name_space(std::os::fd::AsFd::as_fd(&door), Some(LinkNameSpaceType::Network))?)
    };
    thread::scope(|scope| {
        let thread = scope.spawn(|| enter().map(|()| work()));
        let result = thread.join().expect("work within a namespace returns its errors");
        result.map_err(|source| LabError::Enter { name: namespace.to_owned(), source })
    })
}

/// Commands of `ip` that give a host its addresses on `eth0`, which is up afterwards.
pub(crate) fn addresses(v4: IpAddr, v6: IpAddr) -> Vec<String> {
    // Without duplicate address detection, which would keep the address unusable for a second or two.
    vec![
        "link set lo up".into(),
        format!("address add {v4}/16 dev eth0"),
        format!("address add {v6}/64 dev eth0 nodad"),
        "link set eth0 up".into(),
    ]
}
