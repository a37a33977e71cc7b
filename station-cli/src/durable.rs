//! Files that are whole or absent, whatever the power does.
//!
//! A file is replaced by writing another beside it, syncing that, renaming it over the old one and
//! syncing the folder. A crash before the rename leaves the old file and a stray `.new`, which the
//! next write overwrites; a crash after it leaves the new file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fs4::fs_std::FileExt;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::together::Together;

/// Waits for the disk without holding up other slots: they go on in another thread meanwhile.
pub(crate) fn waiting<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(), // nobody else is there to go on
    }
}

/// For files that hold keys, tickets or labels: the station's user alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// For files that anybody may read.
pub(crate) const PUBLIC: u32 = 0o644;

/// Replaces a file whole; it is on disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    waiting(|| {
        let fresh = write_beside(path, bytes, mode)?;
        put_in_place(&fresh, path)?
    })
}

/// Where a file is written before it takes the place of `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// The first half of [`replace`]: the file at `path` is untouched. One that cannot be written whole
/// is not left behind.
pub(crate) fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let fresh = beside(path);
    // Made anew, so that a stray one of other permissions is not written into.
    remove(&fresh)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        let _ = remove(&fresh);
        return Err(error);
    }
    Ok(fresh)
}

/// The second half. The outer error says that nothing is in place; the inner one, that it is, and
/// may be the old one again after a power cut.
pub(crate) fn put_in_place(fresh: &Path, path: &Path) -> io::Result<io::Result<()>> {
    if let Err(error) = fs::rename(fresh, path) {
        let _ = remove(fresh);
        return Err(error);
    }
    Ok(sync_folder_of(path))
}

/// Removes a file for good; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => waiting(|| sync_folder_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Moves a file for good, without a look at what it holds.
pub(crate) fn move_to(path: &Path, to: &Path) -> io::Result<()> {
    fs::rename(path, to)?;
    waiting(|| sync_folder_of(to).and_then(|()| sync_folder_of(path)))
}

/// Reads a file, or `None` when there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder that only the station's user may enter.
///
/// Its own name is on disk too when it was not there before: what is synced in it must be found.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let new = !path.exists();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    match new {
        true => sync_folder_of(path),
        false => Ok(()),
    }
}

/// The right to what a file of locks stands for, among all processes, until it is dropped.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let lock = open_lock(path)?;
    FileExt::lock_exclusive(&lock)?;
    Ok(lock)
}

/// The same, or nothing while another has it.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let lock = open_lock(path)?;
    Ok(FileExt::try_lock_exclusive(&lock)?.then_some(lock))
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).open(path)
}

/// The slots of a station share its folders: one sync of a folder does for all who wait for it.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    waiters_of(folder).done((), |_| File::open(folder)?.sync_all())
}

type Waiters = Together<()>;

/// Who waits for a sync of this folder, under whatever name: two names only cost a sync more.
fn waiters_of(folder: &Path) -> Arc<Waiters> {
    static FOLDERS: Mutex<Vec<(PathBuf, Weak<Waiters>)>> = Mutex::new(Vec::new());
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    folders.retain(|(_, waiters)| waiters.strong_count() > 0);
    let known = folders.iter().find(|(path, _)| path == folder);
    if let Some(waiters) = known.and_then(|(_, waiters)| waiters.upgrade()) {
        return waiters;
    }
    let waiters = Arc::default();
    folders.push((folder.to_owned(), Arc::downgrade(&waiters)));
    waiters
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(folder.path().join("key.pem.new"), "left by a crash").unwrap();
        for text in ["first", "second"] {
            replace(&path, text.as_bytes(), PRIVATE).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(text));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_there_can_be_removed_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nothing");
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }
}
