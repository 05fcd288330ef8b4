//! Replicates a directory to others through the library alone: one node that publishes and one for each destination, all in this
//! process, over loopback.
//!
//! ```text
//! cargo run --release --example replicate -- SOURCE DESTINATION [DESTINATION ...]
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use strew::identity::{Credentials, KeyRing, SwarmKey};
use strew::node::{self, NodeConfig, Report, Reports, Task};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(src), destinations) = (paths.next(), paths.collect::<Vec<_>>()) else {
        return Err("usage: replicate SOURCE DESTINATION [DESTINATION ...]".into());
    };
    // Whoever holds this key is a member; here that is this process alone.
    let key = KeyRing::single(SwarmKey::generate()?);

    // The publisher takes any free port and says which one.
    let mut config = NodeConfig::new(Task::Publish { src });
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (reports, mut news) = Reports::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        // A dropped sender stops it as well as a message does.
        let _ = stopped.await;
    };
    let publisher = tokio::spawn(node::run(config, Credentials::from_keys(&key)?, reports, shutdown));
    let address = loop {
        match news.recv().await {
            Some(Report::Started { listen, .. }) => break listen,
            Some(_) => {}
            None => return publisher.await?.map(drop).map_err(Into::into),
        }
    };

    let mut peers = JoinSet::new();
    for dst in destinations {
        let mut config = NodeConfig::new(Task::Pull { dst: dst.clone() });
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.peers = vec![address.to_string().parse()?];
        config.exit_complete = true;
        let (reports, _) = Reports::channel();
        let credentials = Credentials::from_keys(&key)?;
        peers.spawn(async move { (dst, node::run(config, credentials, reports, std::future::pending()).await) });
    }
    let mut outcome = Ok(());
    while let Some(ended) = peers.join_next().await {
        match ended? {
            (dst, Ok(summary)) => {
                let snapshot = summary.snapshot;
                let line =
                    format!("{}: {} verified, {} sent on", dst.display(), snapshot.bytes_done, snapshot.uploaded);
                std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes())?;
            }
            (_, Err(error)) => outcome = Err(error.into()),
        }
    }
    drop(stop);
    publisher.await??;
    outcome
}
