//! `strew certs`: an authority of one's own, certificates for nodes, and what is in a certificate.
//!
//! All files are in one directory. The authority's are `ca.pem` and `ca.key`; each node has a folder of its name with `cert.pem`,
//! `key.pem` and `ca.pem`, which is what `--certs-dir` takes. A node that keeps its key to itself makes a request, and gets the
//! certificate for it back.
//!
//! Invariant: no file is replaced unless that is asked for, keys are readable by their owner alone, and what a certificate says is
//! only what the flags say.
//!
//! Not here: X.509 (`identity`), and running with certificates (`certificates`).

mod args;
mod show;

use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use args::CertsCommand;
use args::{CsrArgs, InitArgs, IssueArgs, SignArgs};

use super::exit::ExitCode;
use super::file::{self, PUBLIC, SECRET};
use super::screen::Screen;
use crate::identity::{
    DescribeError, FileAuthority, FilesError, IssueError, Pair, make_authority, read_file, read_key_file, request,
};
use zeroize::Zeroizing;

/// Why a command about certificates failed.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file that is there already.
    #[error("{path} exists already and is not replaced without --force ({consequence})")]
    Exists {
        /// The file.
        path: PathBuf,
        /// What replacing it would mean.
        consequence: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {path}{hint}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What would help.
        hint: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or a directory cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is too long, or a key that others can read.
    #[error(transparent)]
    File(FilesError),
    /// A file that is not PEM.
    #[error("{path} is not text, so it is not PEM either")]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// The name cannot be that of a folder and of a certificate.
    #[error(
        "{0:?} is no name for a node: 1 to {NAME_LEN_MAX} letters, digits, '-', '_' or '.', and neither '.' nor 'ca' before all"
    )]
    Name(String),
    /// The certificate cannot be made.
    #[error("{path}")]
    Issue {
        /// Of which file it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: IssueError,
    },
    /// A file that says nothing.
    #[error("{path}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DescribeError,
    },
    /// Standard output does not take it.
    #[error("cannot write to standard output")]
    Print(#[source] io::Error),
}

impl CertsError {
    /// How a run ends that failed so.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Exists { .. }
            | Self::File(_)
            | Self::Text { .. }
            | Self::Name(_)
            | Self::Describe { .. }
            | Self::Issue { .. } => ExitCode::Usage,
            Self::Read { .. } | Self::Write { .. } | Self::Print(_) => ExitCode::LocalIo,
        }
    }
}

/// Runs one of the commands.
pub(super) fn run(command: &CertsCommand, out: &mut dyn Write, screen: &Screen) -> Result<(), CertsError> {
    match command {
        CertsCommand::Init(args) => init(args, screen),
        CertsCommand::Issue(args) => issue(args, screen),
        CertsCommand::Csr(args) => csr(args, screen),
        CertsCommand::Sign(args) => sign(args, screen),
        CertsCommand::Show(args) => show::run(args, out, now()),
    }
}

fn init(args: &InitArgs, screen: &Screen) -> Result<(), CertsError> {
    let [certificate, key] = authority_files(&args.dir);
    refuse_existing(
        &[&key, &certificate],
        args.force,
        "with another authority all its certificates are worth nothing",
    )?;
    make_folder(&args.dir)?;
    let made = make_authority(&args.name, args.key.into(), args.days, now());
    let pair = made.map_err(|source| CertsError::Issue { path: certificate.clone(), source })?;
    put(&key, &pair.key, SECRET, args.force)?;
    put(&certificate, &pair.public, PUBLIC, args.force)?;
    screen.say(&format!(
        "wrote the authority to {} and its key to {}; keep the key away from the nodes, and give each node a certificate: \
         strew certs issue NAME --role seed|peer --dir {}",
        certificate.display(),
        key.display(),
        args.dir.display()
    ));
    Ok(())
}

fn issue(args: &IssueArgs, screen: &Screen) -> Result<(), CertsError> {
    let folder = node_folder(&args.dir, &args.name)?;
    let [certificate, key, root] = node_files(&folder);
    let bundle = folder.join("bundle.pem");
    refuse_existing(&[&key, &certificate], args.force, "the node may be using it")?;
    if args.bundle {
        refuse_existing(&[&bundle], args.force, "the node may be using it")?;
    }
    let (authority, authority_text) = authority(&args.dir)?;
    let wish = args.wish.wish(args.name.clone());
    let made = authority.issue(&wish, args.key.into(), now());
    let pair = made.map_err(|source| CertsError::Issue { path: certificate.clone(), source })?;
    make_folder(&folder)?;
    put(&root, &authority_text, PUBLIC, true)?;
    put(&key, &pair.key, SECRET, args.force)?;
    put(&certificate, &pair.public, PUBLIC, args.force)?;
    if args.bundle {
        put(&bundle, &bundled(&authority_text, &pair), SECRET, args.force)?;
    }
    screen.say(&format!(
        "wrote certificate, key and authority of {} ({}, {} days) to {folder}; copy that directory to the node and run strew \
         there with --certs-dir {folder}",
        args.name,
        wish.role,
        wish.days,
        folder = folder.display()
    ));
    Ok(())
}

fn csr(args: &CsrArgs, screen: &Screen) -> Result<(), CertsError> {
    let folder = node_folder(&args.dir, &args.name)?;
    let [_, key, _] = node_files(&folder);
    let asked = args.dir.join(format!("{}.csr", args.name));
    refuse_existing(&[&key, &asked], args.force, "a certificate for it may be on its way")?;
    let made = request(&args.name, args.key.into());
    let pair = made.map_err(|source| CertsError::Issue { path: asked.clone(), source })?;
    make_folder(&folder)?;
    put(&key, &pair.key, SECRET, args.force)?;
    put(&asked, &pair.public, PUBLIC, args.force)?;
    screen.say(&format!(
        "wrote the request to {} and the key to {}; the key stays here. Where the authority is, run: strew certs sign {}.csr \
         --role ROLE; then copy cert.pem and ca.pem from there beside the key",
        asked.display(),
        key.display(),
        args.name
    ));
    Ok(())
}

fn sign(args: &SignArgs, screen: &Screen) -> Result<(), CertsError> {
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(|| stem.to_owned());
    let folder = node_folder(&args.dir, &name)?;
    let [certificate, _, root] = node_files(&folder);
    refuse_existing(&[&certificate], args.force, "the node may be using it")?;
    let (authority, authority_text) = authority(&args.dir)?;
    let asked = read(&args.file, "", read_file)?;
    let wish = args.wish.wish(name);
    let made = authority.sign(&wish, asked.as_bytes(), now());
    let public = made.map_err(|source| CertsError::Issue { path: args.file.clone(), source })?;
    make_folder(&folder)?;
    put(&root, &authority_text, PUBLIC, true)?;
    put(&certificate, &public, PUBLIC, args.force)?;
    screen.say(&format!(
        "wrote the certificate of {} ({}, {} days) to {}; copy it and {} beside the node's key",
        wish.name,
        wish.role,
        wish.days,
        certificate.display(),
        root.display()
    ));
    Ok(())
}

/// Authority, certificate and key in one text.
fn bundled(authority: &str, pair: &Pair) -> Zeroizing<String> {
    let [authority, public] = [authority, &pair.public].map(str::trim_end);
    Zeroizing::new(format!("{authority}\n{public}\n{}", pair.key.as_str()))
}

/// The authority of this directory, and its certificate as it is to be passed on.
fn authority(dir: &Path) -> Result<(FileAuthority, Zeroizing<String>), CertsError> {
    const HINT: &str = "; make an authority with `strew certs init`, or name its directory with --dir";
    let [certificate, key] = authority_files(dir);
    let (text, secret) = (read(&certificate, HINT, read_file)?, read(&key, HINT, read_key_file)?);
    let parsed = FileAuthority::parse(&text, &secret);
    Ok((parsed.map_err(|source| CertsError::Issue { path: certificate, source })?, text))
}

fn authority_files(dir: &Path) -> [PathBuf; 2] {
    ["ca.pem", "ca.key"].map(|name| dir.join(name))
}

fn node_files(folder: &Path) -> [PathBuf; 3] {
    ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.join(name))
}

fn node_folder(dir: &Path, name: &str) -> Result<PathBuf, CertsError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let fits = (1..=NAME_LEN_MAX).contains(&name.len()) && !name.starts_with('.') && !name.starts_with("ca.");
    if plain && fits { Ok(dir.join(name)) } else { Err(CertsError::Name(name.to_owned())) }
}

fn refuse_existing(paths: &[&Path], force: bool, consequence: &'static str) -> Result<(), CertsError> {
    let found = paths.iter().find(|path| !force && path.symlink_metadata().is_ok());
    found.map_or(Ok(()), |path| Err(CertsError::Exists { path: path.to_path_buf(), consequence }))
}

fn make_folder(path: &Path) -> Result<(), CertsError> {
    const OWNER_ONLY: u32 = 0o700;
    let made = std::fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path);
    made.map_err(|source| CertsError::Write { path: path.to_owned(), source })
}

fn put(path: &Path, text: &str, mode: u32, replace: bool) -> Result<(), CertsError> {
    file::write(path, text.as_bytes(), mode, replace)
        .map_err(|source| CertsError::Write { path: path.to_owned(), source })
}

/// Reads a file of text by one of `identity`'s bounded ways; the hint says what helps where there is none.
fn read(
    path: &Path,
    hint: &'static str,
    by: impl Fn(&Path) -> Result<Zeroizing<Vec<u8>>, FilesError>,
) -> Result<Zeroizing<String>, CertsError> {
    let bytes = by(path).map_err(|error| match error {
        FilesError::Read { path, source } => CertsError::Read { path, hint, source },
        other => CertsError::File(other),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| CertsError::Text { path: path.to_owned() })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The longest common name that X.509 allows (RFC 5280, upper bound ub-common-name).
const NAME_LEN_MAX: usize = 64;
