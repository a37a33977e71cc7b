//! Looks for secrets where none may be: every password of a run, in every file of a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Files below `folder` that hold any of `secrets`, as text in either case. Folders in `skip` are
/// where secrets belong.
///
/// # Errors
/// When a file cannot be read: an unread file proves nothing.
pub fn holders(
    folder: &Path,
    skip: &[PathBuf],
    secrets: &[Zeroizing<String>],
) -> io::Result<(Vec<PathBuf>, u64)> {
    let (mut found, mut searched) = (Vec::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() && !skip.contains(&path) {
                folders.push(path);
            } else if kind.is_file() {
                searched += 1;
                let bytes = Zeroizing::new(fs::read(&path)?.to_ascii_uppercase());
                let name = path.to_string_lossy().to_uppercase();
                let holds = |secret: &Zeroizing<String>| {
                    contains(&bytes, secret.as_bytes()) || name.contains(secret.as_str())
                };
                if secrets.iter().any(holds) {
                    found.push(path);
                }
            }
        }
    }
    Ok((found, searched))
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = [Zeroizing::new("K7QDM2X9TR4W".to_owned())];
        let skip = [dir.path().join("units")];
        for folder in ["units", "log/deep"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("units/a.json"), "K7QDM2X9TR4W").unwrap();
        fs::write(dir.path().join("log/deep/b"), "nothing").unwrap();
        assert_eq!(holders(dir.path(), &skip, &secrets).unwrap(), (vec![], 1));
        fs::write(dir.path().join("log/deep/c"), "x\0k7qdm2x9tr4w\0").unwrap();
        fs::write(dir.path().join("log/K7QDM2X9TR4W.txt"), "").unwrap();
        assert_eq!(holders(dir.path(), &skip, &secrets).unwrap().0.len(), 2);
    }
}
