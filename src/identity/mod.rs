//! Who we are and whom we believe: swarm key, certificates, TLS configurations, endorsements.
