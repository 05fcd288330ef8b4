//! Stamp: what tells whether a file is still the one that was seen.
//!
//! Size and modification time alone are set back by many tools; the change time is not, because no call sets it.
//! Together with the inode they notice a file that was rewritten, replaced, truncated or touched without reading a byte
//! of it.
//!
//! Invariant: two stamps are equal only if the file was not written between them, as far as the file system's clock can
//! tell.
//!
//! Not here: device numbers, which change from mount to mount; a tree is always below one held root.

use rustix::fs::{FileType, Stat};

/// Identity and times of a file at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Inode number.
    pub(super) inode: u64,
    /// Length in bytes.
    pub(super) size: u64,
    /// Modification time: seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    /// Change time: seconds and nanoseconds.
    pub(super) ctime: (i64, u32),
}

impl Stamp {
    /// Length of [`Stamp::to_bytes`].
    pub(super) const LEN: usize = 40;

    /// The stamp of a file with this status.
    #[allow(clippy::useless_conversion)] // the widths differ between architectures
    pub(super) fn of(stat: &Stat) -> Self {
        // The kernel keeps nanoseconds below 10^9, so the fallback is never taken.
        let nanos = |n| u32::try_from(n).unwrap_or(0);
        Self {
            inode: stat.st_ino.into(),
            size: size(stat),
            mtime: (seconds(stat.st_mtime), nanos(stat.st_mtime_nsec)),
            ctime: (seconds(stat.st_ctime), nanos(stat.st_ctime_nsec)),
        }
    }

    /// The stamp as the journal keeps it.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.inode.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.mtime.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.mtime.1.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.ctime.0.to_le_bytes());
        bytes[36..].copy_from_slice(&self.ctime.1.to_le_bytes());
        bytes
    }

    /// Reads the form of [`Stamp::to_bytes`].
    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let eight = |at: usize| <[u8; 8]>::try_from(&bytes[at..at + 8]).expect("eight bytes");
        let four = |at: usize| <[u8; 4]>::try_from(&bytes[at..at + 4]).expect("four bytes");
        Self {
            inode: u64::from_le_bytes(eight(0)),
            size: u64::from_le_bytes(eight(8)),
            mtime: (i64::from_le_bytes(eight(16)), u32::from_le_bytes(four(24))),
            ctime: (i64::from_le_bytes(eight(28)), u32::from_le_bytes(four(36))),
        }
    }
}

/// Length in bytes.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Bytes that the file occupies on its disk, at most its length: holes count nothing.
#[allow(clippy::useless_conversion)] // the widths differ between architectures
pub(super) fn allocated(stat: &Stat) -> u64 {
    // POSIX: `st_blocks` counts units of 512 bytes whatever the file system's own unit is.
    const STAT_UNIT: u64 = 512;
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_UNIT).min(size(stat))
}

/// The permission bits that a content carries.
pub(super) fn mode(stat: &Stat) -> u16 {
    u16::try_from(stat.st_mode & 0o777).expect("nine bits")
}

/// What the file is.
pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Seconds since 1970, negative before, although the kernel's structure calls them unsigned.
#[allow(clippy::unnecessary_cast)] // the sign differs between architectures
fn seconds(raw: impl Into<i128>) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // the kernel's value has 64 bits, of either sign
    {
        raw.into() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_journal_and_times_before_1970_too() {
        let stamp = Stamp { inode: u64::MAX - 1, size: 1 << 40, mtime: (-5, 999_999_999), ctime: (1 << 33, 1) };
        assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
    }
}
