//! Reset: how a node that was killed and started again tells its old neighbours that their connections are gone.
//!
//! A killed process says no good-bye, and its neighbours would send to its port for ten seconds before they give up. QUIC's stateless
//! reset (RFC 9000, section 10.3) ends that at their next packet, if the new process can show the token that the old one gave out.
//! So the key of the tokens must outlive the process. It is derived from what does: the secret behind the node's certificate, its port,
//! and what tells its machine from others.
//!
//! With a swarm key or a certificate for a whole fleet, that secret is common to all members. Where machine and host name can be
//! guessed, another member who also sees the connection's packets could end it, once for each attempt, and the two connect again.
//! Members are trusted with more than that; nobody else gains anything. Nothing that is encrypted depends on this key.
//!
//! Invariant: the same certificate secret, machine and port give the same key; whoever lacks the secret cannot make a token.
//!
//! Not here: noticing that a neighbour was started again, which QUIC does.

use std::sync::Arc;

use aws_lc_rs::hmac;
use quinn::EndpointConfig;
use quinn_proto::RandomConnectionIdGenerator;
use zeroize::Zeroizing;

use crate::identity::Credentials;

/// Bytes of a connection id, all of them random: a token belongs to one id for ever, so no id may come twice.
const ID_LEN: usize = 8;

/// Makes resets possible for a node on this `port`.
pub(super) fn set_up(endpoint: &mut EndpointConfig, credentials: &Credentials, port: u16) {
    let key = derive(credentials.reset_secret(), port, &machine());
    endpoint.reset_key(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key[..])));
    // quinn's own ids are made to be recognised by the process that made them, and its successor would take them for noise.
    endpoint.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(ID_LEN)));
}

fn derive(secret: &[u8; 32], port: u16, machine: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("strew 2026 stateless reset v1");
    hasher.update(secret).update(&port.to_le_bytes()).update(machine);
    Zeroizing::new(hasher.finalize().into())
}

/// What tells this machine from others and stays when a process is started again: systemd's machine id, which containers often lack
/// or share, and the host name, which they have.
fn machine() -> Vec<u8> {
    let mut machine = rustix::system::uname().nodename().to_bytes_with_nul().to_vec();
    machine.extend(std::fs::read("/etc/machine-id").unwrap_or_default());
    machine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_a_fleet_has_a_key_of_its_own_that_outlives_it() {
        let key = |secret: u8, port, machine: &str| *derive(&[secret; 32], port, machine.as_bytes());
        assert_eq!(key(1, 10090, "a"), key(1, 10090, "a"));
        for other in [key(2, 10090, "a"), key(1, 10091, "a"), key(1, 10090, "b")] {
            assert_ne!(other, key(1, 10090, "a"));
        }
    }
}
