//! Positioned reads and writes of whole spans, and holes.
//!
//! Positioned calls need no lock and no seek, so several threads fill one file at a time. A call may do less than it
//! was asked or be interrupted; these do all or say why not.
//!
//! Invariant: after a successful write the range reads back as the data, whatever lay there before; where the data is
//! zero over whole aligned windows the file keeps (or gets) a hole.
//!
//! Not here: making anything durable (`replica/commit`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

/// Zeros are left out in windows of this many bytes, aligned in the file: the unit of allocation of the common file
/// systems is 4 KiB to 64 KiB, so a smaller hole would save nothing on some of them and fragment the file on all.
pub(super) const HOLE_UNIT: u64 = 64 << 10;

/// Fills `buf` from `offset`; the file being shorter is `UnexpectedEof`.
pub(super) fn read_exact_at(file: impl AsFd, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        let count = retry_on_intr(|| pread(&file, &mut *buf, offset))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += count as u64;
        buf = &mut buf[count..];
    }
    Ok(())
}

/// Writes all of `data` at `offset`.
pub(super) fn write_all_at(file: impl AsFd, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let count = retry_on_intr(|| pwrite(&file, data, offset))?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += count as u64;
        data = &data[count..];
    }
    Ok(())
}

/// Writes `data` at `offset`, with holes for the aligned windows of it that are all zero.
pub(super) fn write_sparse_at(file: impl AsFd, offset: u64, data: &[u8]) -> io::Result<()> {
    let file = file.as_fd();
    let mut done = 0;
    while done < data.len() {
        let (zero, len) = run(offset + done as u64, &data[done..]);
        let part = &data[done..done + len];
        if zero {
            punch(file, offset + done as u64, part)?;
        } else {
            write_all_at(file, offset + done as u64, part)?;
        }
        done += len;
    }
    Ok(())
}

/// Whether the bytes equal what lies at `offset` of the file; a shorter file is different.
pub(super) fn equals_at(file: impl AsFd, offset: u64, data: &[u8]) -> io::Result<bool> {
    // Large enough that the calls cost little beside the copying, small enough for any thread's cache.
    let mut buf = [0; 64 << 10];
    for (i, part) in data.chunks(buf.len()).enumerate() {
        let at = offset + (i * buf.len()) as u64;
        match read_exact_at(&file, at, &mut buf[..part.len()]) {
            Ok(()) if buf[..part.len()] == *part => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The longest stretch at the front of `data` that is either all holes or all to be written: (is it holes, its length).
fn run(offset: u64, data: &[u8]) -> (bool, usize) {
    let mut len = 0;
    let mut zero = None;
    while len < data.len() {
        let at = offset + len as u64;
        let to_edge = usize::try_from(HOLE_UNIT - at % HOLE_UNIT).expect("at most 64 KiB");
        let window = to_edge.min(data.len() - len);
        let hole = window as u64 == HOLE_UNIT && is_zero(&data[len..len + window]);
        if *zero.get_or_insert(hole) != hole {
            break;
        }
        len += window;
    }
    (zero.unwrap_or(false), len)
}

/// Every byte equals the one before it, and the first is zero: one comparison of memory, which stops at the first
/// difference.
fn is_zero(data: &[u8]) -> bool {
    data.first().is_none_or(|first| *first == 0) && data.get(1..).is_none_or(|rest| *rest == data[..rest.len()])
}

/// Makes a hole; file systems that have none get the zeros.
fn punch(file: BorrowedFd<'_>, offset: u64, zeros: &[u8]) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| fallocate(file, flags, offset, zeros.len() as u64)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_all_at(file, offset, zeros),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn zeros_over_old_bytes_read_back_as_zeros_and_occupy_nothing() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, 0, &[1; 4 << 16]).unwrap();
        let before = file.metadata().unwrap().blocks();
        write_sparse_at(&file, 0, &[0; 4 << 16]).unwrap();
        assert!(equals_at(&file, 0, &[0; 4 << 16]).unwrap());
        assert_eq!(file.metadata().unwrap().size(), 4 << 16);
        let after = file.metadata().unwrap().blocks();
        assert!(after < before, "{after} units of 512 bytes where {before} were");
    }

    #[test]
    fn only_whole_aligned_windows_become_holes() {
        let unit = usize::try_from(HOLE_UNIT).unwrap();
        let data = vec![0; 3 * unit];
        assert_eq!(run(0, &data), (true, 3 * unit));
        assert_eq!(run(1, &data), (false, unit - 1));
        assert_eq!(run(HOLE_UNIT, &data[..unit - 1]), (false, unit - 1));
        let mut mixed = data;
        mixed[unit] = 1;
        assert_eq!(run(0, &mixed), (true, unit));
        assert_eq!(run(HOLE_UNIT, &mixed[unit..]), (false, unit));
    }

    #[test]
    fn reading_beyond_the_end_says_so() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, 0, b"abc").unwrap();
        let error = read_exact_at(&file, 1, &mut [0; 3]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(!equals_at(&file, 1, b"bcd").unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_was_written_reads_back(
            offset in 0u64..200_000,
            runs in proptest::collection::vec((any::<bool>(), 1usize..150_000), 1..5),
        ) {
            let data: Vec<u8> = runs.iter().flat_map(|(zero, len)| vec![u8::from(!zero); *len]).collect();
            let file = tempfile::tempfile().unwrap();
            write_all_at(&file, 0, &vec![7; 400_000]).unwrap();
            file.set_len(offset + data.len() as u64).unwrap();
            write_sparse_at(&file, offset, &data).unwrap();
            prop_assert!(equals_at(&file, offset, &data).unwrap());
        }
    }
}
