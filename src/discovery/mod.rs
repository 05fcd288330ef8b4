//! Where peers may be found: the names that a user lists, the lists that change while a node runs, and the addresses behind all of them.
//!
//! A name and an address are two things: a name is parsed once, at the door, and stays what the user typed; its addresses
//! may change while the program runs, so they are looked up again whenever they are needed. A list that changes is asked for again and
//! again, and a slip in it costs the entry that it is in and no more.
//!
//! Invariant: a [`PeerName`] always has a host that can exist and a port that is not zero; nothing that takes one checks
//! again.
//!
//! Not here: connecting to peers (`net`), which addresses are worth a try and which one is our own (`node`).

mod http;
mod list;
mod name;
mod own;
mod provider;
mod registry;
mod resolve;

pub use http::{
    Caller, HttpBounds, HttpClient, HttpError, HttpServer, HttpServing, HttpSettings, HttpUrl, HttpUrlError, Origin,
    TOKEN_LEN_MAX, Token, TokenError, TrustError, reply,
};
pub use list::{ENTRIES_MAX, Listing, NoPeerError};
pub use name::{DEFAULT_PORT, Host, HostName, HostNameError, PeerName, PeerNameError};
pub use own::own_address;
pub use provider::{Lists, PollError, Poller, PollerError, Provider, ProviderError};
pub use registry::{
    Announcer, HOLDS_MAX, News, Registration, RegistryServer, RegistrySettings, SelfEndpoint, ServeError,
    ServerCertificate,
};
pub use resolve::{PATIENCE, ResolveError, Resolver, ServiceError};
