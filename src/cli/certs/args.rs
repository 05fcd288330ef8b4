//! The words after `certs`.
//!
//! Not here: what they do.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::super::args::OutputWord;
use crate::identity::{KeyKind, Role, Wish};

/// Where the files are unless a flag says otherwise.
const DIR: &str = "strew-certs";

/// What to do with certificates.
#[derive(Clone, Debug, Subcommand)]
pub enum CertsCommand {
    /// Make an authority: the certificate ca.pem and the key ca.key, which stays away from the nodes.
    Init(InitArgs),
    /// Make a certificate and a key for a node, in a directory that --certs-dir takes.
    Issue(IssueArgs),
    /// On a node: make a key, and a request for a certificate of it.
    Csr(CsrArgs),
    /// Where the authority is: make the certificate for a request. Names and rights come from the flags only.
    Sign(SignArgs),
    /// Show what certificates say: names, role, identity, dates.
    Show(ShowArgs),
}

/// The words after `certs init`.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// Where the authority's files go.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
    /// The authority's name.
    #[arg(long, value_name = "NAME", default_value = "strew authority")]
    pub name: String,
    /// How long it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
    /// The kind of its key.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    pub key: KeyWord,
    /// Replace an authority that is there already.
    #[arg(long)]
    pub force: bool,
}

/// What a certificate is to say.
#[derive(Clone, Debug, clap::Args)]
pub struct WishArgs {
    /// What it allows: seed publishes, peer fetches and serves, observer does neither.
    #[arg(long, value_name = "ROLE")]
    pub role: RoleWord,
    /// How long it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
    /// A further DNS name for other programs; strew checks no names. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub dns: Vec<String>,
    /// A URI for other programs, such as a SPIFFE id. May be repeated.
    #[arg(long, value_name = "URI")]
    pub uri: Vec<String>,
}

/// The words after `certs issue`.
#[derive(Clone, Debug, clap::Args)]
pub struct IssueArgs {
    /// The node's name: of its directory and in its certificate.
    pub name: String,
    /// What it is to say.
    #[command(flatten)]
    pub wish: WishArgs,
    /// Where the authority is; the node's files go into a directory of its name there.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
    /// The kind of its key.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    pub key: KeyWord,
    /// Also write bundle.pem: authority, certificate and key in one file, for --bundle.
    #[arg(long)]
    pub bundle: bool,
    /// Replace certificate and key that are there already, as for a renewal.
    #[arg(long)]
    pub force: bool,
}

/// The words after `certs csr`.
#[derive(Clone, Debug, clap::Args)]
pub struct CsrArgs {
    /// The node's name.
    pub name: String,
    /// Where the request goes; the key goes into a directory of the node's name there.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
    /// The kind of its key.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    pub key: KeyWord,
    /// Replace key and request that are there already.
    #[arg(long)]
    pub force: bool,
}

/// The words after `certs sign`.
#[derive(Clone, Debug, clap::Args)]
pub struct SignArgs {
    /// The request, in PEM.
    pub file: PathBuf,
    /// The node's name [default: that of the file, without its ending].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What it is to say.
    #[command(flatten)]
    pub wish: WishArgs,
    /// Where the authority is; the certificate goes into a directory of the node's name there.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
    /// Replace a certificate that is there already.
    #[arg(long)]
    pub force: bool,
}

/// The words after `certs show`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Files with certificates, in PEM.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Form of what is printed: text for people, json for programs (one certificate a line).
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: OutputWord,
}

/// The kind of a key, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum KeyWord {
    /// ECDSA on P-256, which everything takes.
    P256,
    /// Ed25519.
    Ed25519,
}

/// A role, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum RoleWord {
    /// May publish, fetch and serve.
    Seed,
    /// May fetch and serve.
    Peer,
    /// May neither fetch nor serve.
    Observer,
}

impl From<KeyWord> for KeyKind {
    fn from(word: KeyWord) -> Self {
        match word {
            KeyWord::P256 => Self::P256,
            KeyWord::Ed25519 => Self::Ed25519,
        }
    }
}

impl WishArgs {
    /// The certificate of this node.
    pub(super) fn wish(&self, name: String) -> Wish {
        let role = match self.role {
            RoleWord::Seed => Role::Seed,
            RoleWord::Peer => Role::Peer,
            RoleWord::Observer => Role::Observer,
        };
        Wish { name, role, dns: self.dns.clone(), uris: self.uri.clone(), days: self.days }
    }
}

/// A century: beyond it nobody means what is typed, and far below what X.509 can write.
const DAYS_MAX: i64 = 36_500;
