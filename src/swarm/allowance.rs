//! Allowance: how much longer things take because this machine was told to send or take only so much.
//!
//! Without it the swarm would take its own limit for other machines' fault: sixteen mebibytes at one mebibyte a second look stuck after the
//! usual half second, are asked elsewhere as well, and share the same limit there, so that nothing would ever be in time. Whoever talks
//! to such a machine learns from its answers, as it does of any thin link.
//!
//! Invariant: without limits everything here is zero, and no decision differs.
//!
//! Not here: holding bytes back (`net`).

use std::time::Duration;

use crate::swarm::Swarm;

/// Times that what is under way may take at our limit before that counts as too long: twice is more than timers and rounds are late.
const SLACK: u32 = 2;

impl Swarm {
    /// The time in which all that we asked for comes at our limit.
    pub(super) fn allowed_fetch_time(&self) -> Duration {
        let Some(limit) = self.config.download_limit else { return Duration::ZERO };
        let layout = self.board.layout();
        let fetching = self.board.sources().values().filter(|s| !s.profile.local).flat_map(|s| &s.fetching);
        limit.time_of(fetching.map(|f| layout.len(f.chunk)).sum()) * SLACK
    }

    /// The time in which all that is being sent goes at our limit.
    pub(super) fn allowed_upload_time(&self) -> Duration {
        let Some(limit) = self.config.upload_limit else { return Duration::ZERO };
        let under_way = self.uploader.active().max(self.config.uploads_at_once);
        limit.time_of(self.board.layout().chunk_size() * under_way as u64) * SLACK
    }
}
