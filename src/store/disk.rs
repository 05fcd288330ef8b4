//! Positioned reads and writes of whole spans, and holes.
//!
//! Positioned calls need no lock and no seek, so several threads fill one file at a time. A call may do less than it
//! was asked or be interrupted; these do all or say why not.
//!
//! Invariant: after a successful write the range reads back as the data, whatever lay there before; zeros leave a hole
//! where one is, and make one over whole aligned windows of old data.
//!
//! Not here: making anything durable (`replica/commit`).

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, fstat, seek};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use super::stamp;

/// Zeros are looked for in windows of this many bytes, aligned in the file: the unit of allocation of the common file
/// systems, so that a fresh file occupies what its source does.
const HOLE_UNIT: u64 = 4 << 10;

/// Holes are made in old data of whole aligned windows of this many bytes only: the unit of allocation of file systems
/// goes up to 64 KiB, so a smaller hole would save nothing on some of them and fragment the file on all.
const PUNCH_UNIT: u64 = 64 << 10;

/// Zeros to write, and as many bytes as are compared at a time: large enough that the calls cost little beside the
/// copying, small enough for any thread's cache.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

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
            write_zeros_at(file, offset + done as u64, len as u64)?;
        } else {
            write_all_at(file, offset + done as u64, part)?;
        }
        done += len;
    }
    Ok(())
}

/// Whether the bytes equal what lies at `offset` of the file; a shorter file is different.
pub(super) fn equals_at(file: impl AsFd, offset: u64, data: &[u8]) -> io::Result<bool> {
    let mut buf = ZEROS;
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
        let to_edge = usize::try_from(HOLE_UNIT - at % HOLE_UNIT).expect("at most 4 KiB");
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

/// Makes `len` bytes from `offset`, within the file's length, read as zeros. Where a hole is nothing is done; what was
/// data becomes holes in whole windows.
pub(super) fn write_zeros_at(file: impl AsFd, offset: u64, len: u64) -> io::Result<()> {
    let (file, end, mut at) = (file.as_fd(), offset + len, offset);
    while let Some(data) = next_data(file, at, end) {
        let (first, last) = (data.start.next_multiple_of(PUNCH_UNIT), data.end / PUNCH_UNIT * PUNCH_UNIT);
        if first < last {
            fill_zeros(file, data.start..first)?;
            punch(file, first..last)?;
            fill_zeros(file, last..data.end)?;
        } else {
            fill_zeros(file, data.clone())?;
        }
        at = data.end;
    }
    Ok(())
}

/// Whether the range, within the file's length, is a hole through and through; false where a file system does not tell.
pub(super) fn is_hole(file: impl AsFd, range: &Range<u64>) -> bool {
    next_data(file.as_fd(), range.start, range.end).is_none()
}

/// Whether the range is there and all zeros; what is a hole is not read.
pub(super) fn is_zero_at(file: impl AsFd, range: &Range<u64>) -> io::Result<bool> {
    let (file, mut at) = (file.as_fd(), range.start);
    if stamp::size(&fstat(file)?) < range.end {
        return Ok(false);
    }
    while let Some(data) = next_data(file, at, range.end) {
        at = data.start;
        while at < data.end {
            let part = zeros(data.end - at);
            if !equals_at(file, at, part)? {
                return Ok(false);
            }
            at += part.len() as u64;
        }
    }
    Ok(true)
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
fn punch(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| fallocate(file, flags, range.start, range.end - range.start)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill_zeros(file, range),
        Err(error) => Err(error.into()),
    }
}

/// Writes zeros as any other data.
fn fill_zeros(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let part = zeros(range.end - at);
        write_all_at(file, at, part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// `len` zeros, or as many as there are at a time.
fn zeros(len: u64) -> &'static [u8] {
    &ZEROS[..usize::try_from(len).map_or(ZEROS.len(), |len| len.min(ZEROS.len()))]
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
        assert_eq!((data(0, 4 << 16), data(PUNCH_UNIT, 4 << 16)), (Some(0..1 << 16), Some(2 << 16..4 << 16)));
        assert!(equals_at(&file, 1, &[0; (3 << 16) - 2]).unwrap());
        assert!(equals_at(&file, (3 << 16) - 1, &[1; (1 << 16) + 1]).unwrap());
    }

    #[test]
    fn a_fresh_file_occupies_what_its_source_does() {
        let [source, copy] = [0, 1].map(|_| tempfile::tempfile().unwrap());
        let mut data = vec![0; 1 << 20];
        for at in [5_000, 70_001, 300_000, (1 << 20) - 1] {
            data[at] = 1;
            write_all_at(&source, at as u64, &[1]).unwrap();
        }
        copy.set_len(1 << 20).unwrap();
        // In parts, as chunks that begin and end anywhere in a file bring it.
        for (i, part) in data.chunks(10_007).enumerate() {
            write_sparse_at(&copy, (i * 10_007) as u64, part).unwrap();
        }
        assert!(equals_at(&copy, 0, &data).unwrap());
        assert_eq!(copy.metadata().unwrap().blocks(), source.metadata().unwrap().blocks());
    }

    #[test]
    fn zeros_are_told_from_data_and_from_what_is_not_there() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        write_all_at(&file, 1 << 17, &vec![0; 1 << 17]).unwrap();
        write_all_at(&file, 1 << 19, &[7]).unwrap();
        assert!(is_hole(&file, &(0..1 << 17)));
        assert!(!is_hole(&file, &((1 << 17)..(1 << 18))));
        assert!(is_zero_at(&file, &(0..1 << 19)).unwrap());
        assert!(!is_zero_at(&file, &(0..(1 << 19) + 1)).unwrap());
        assert!(!is_zero_at(&file, &((1 << 19) + 1..(1 << 20) + 1)).unwrap());
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
