//! Positioned reads and writes of whole spans, and holes.
//!
//! Positioned calls need no lock and no seek, so several threads fill one file at a time. A call may do less than it
//! was asked or be interrupted; these do all or say why not.
//!
//! Invariant: after a successful write the range reads back as the data, whatever lay there before; zeros leave a hole
//! where one is, and make one over whole aligned windows.
//!
//! Not here: making anything durable (`replica/commit`).

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

/// Zeros are looked for in windows of this many bytes, aligned in the file, and holes are made of whole ones only: the
/// unit of allocation of the common file systems is 4 KiB to 64 KiB, so a smaller hole would save nothing on some of them
/// and fragment the file on all.
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

/// Writes `data` at `offset`, within the file's length. Zeros are written only where there is no hole and none can be made:
/// a chunk begins and ends anywhere in a file, so a hole that many of them share must outlive the zeros of each.
pub(super) fn write_sparse_at(file: impl AsFd, offset: u64, data: &[u8]) -> io::Result<()> {
    let file = file.as_fd();
    let mut done = 0;
    while done < data.len() {
        let (zero, len) = run(offset + done as u64, &data[done..]);
        let part = &data[done..done + len];
        if zero {
            write_zeros(file, offset + done as u64, part)?;
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

/// The longest stretch at the front of `data` whose windows, or parts of windows, are either all zero or all not: (is it
/// zero, its length).
fn run(offset: u64, data: &[u8]) -> (bool, usize) {
    let mut len = 0;
    let mut zero = None;
    while len < data.len() {
        let at = offset + len as u64;
        let to_edge = usize::try_from(HOLE_UNIT - at % HOLE_UNIT).expect("at most 64 KiB");
        let window = to_edge.min(data.len() - len);
        let is_zero = is_zero(&data[len..len + window]);
        if *zero.get_or_insert(is_zero) != is_zero {
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

/// Makes the range read as zeros. Where a hole is nothing is done; what was data becomes holes in whole windows.
fn write_zeros(file: BorrowedFd<'_>, offset: u64, zeros: &[u8]) -> io::Result<()> {
    let (end, mut at) = (offset + zeros.len() as u64, offset);
    let part = |from: u64, to: u64| &zeros[..usize::try_from(to - from).expect("within a buffer")];
    while let Some(data) = next_data(file, at, end) {
        let (first, last) = (data.start.next_multiple_of(HOLE_UNIT), data.end / HOLE_UNIT * HOLE_UNIT);
        if first < last {
            write_all_at(file, data.start, part(data.start, first))?;
            punch(file, first, part(first, last))?;
            write_all_at(file, last, part(last, data.end))?;
        } else {
            write_all_at(file, data.start, part(data.start, data.end))?;
        }
        at = data.end;
    }
    Ok(())
}

/// The next range at or after `at` that is no hole; what a file system does not tell counts as data.
fn next_data(file: BorrowedFd<'_>, at: u64, end: u64) -> Option<Range<u64>> {
    // These move the file's own position, which positioned reads and writes do not use.
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        // No data from there on.
        Err(Errno::NXIO) => return None,
        Err(_) => at,
    };
    let stop = seek(file, SeekFrom::Hole(start)).unwrap_or(end).min(end);
    (start < stop).then_some(start..stop)
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
    fn data_is_cut_where_zeros_begin_and_end() {
        let unit = usize::try_from(HOLE_UNIT).unwrap();
        let data = vec![0; 3 * unit];
        assert_eq!(run(0, &data), (true, 3 * unit));
        assert_eq!(run(1, &data[..unit]), (true, unit));
        let mut mixed = data;
        mixed[unit] = 1;
        assert_eq!(run(0, &mixed), (true, unit));
        assert_eq!(run(HOLE_UNIT, &mixed[unit..]), (false, unit));
    }

    #[test]
    fn a_hole_outlives_zeros_that_come_in_parts_smaller_than_a_window() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        // Data at the front makes a page that the first zeros share.
        write_sparse_at(&file, 0, &[1; 500]).unwrap();
        let before = file.metadata().unwrap().blocks();
        for start in (500..1 << 20).step_by(1000) {
            let len = 1000.min((1 << 20) - start);
            write_sparse_at(&file, start as u64, &vec![0; len]).unwrap();
        }
        assert_eq!(file.metadata().unwrap().blocks(), before);
        assert!(equals_at(&file, 500, &vec![0; (1 << 20) - 500]).unwrap());
    }

    #[test]
    fn zeros_over_data_become_holes_in_whole_aligned_windows_only() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, 0, &[1; 4 << 16]).unwrap();
        write_sparse_at(&file, 1, &[0; (3 << 16) - 2]).unwrap();
        let data = |at, end| next_data(file.as_fd(), at, end);
        assert_eq!((data(0, 4 << 16), data(HOLE_UNIT, 4 << 16)), (Some(0..1 << 16), Some(2 << 16..4 << 16)));
        assert!(equals_at(&file, 1, &[0; (3 << 16) - 2]).unwrap());
        assert!(equals_at(&file, (3 << 16) - 1, &[1; (1 << 16) + 1]).unwrap());
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
