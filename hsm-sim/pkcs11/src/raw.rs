//! Between C's pointers and Rust's slices: the only place that reads or writes what a caller points
//! to.

use cryptoki_sys::*;

use crate::application::Answer;
use crate::objects::Template;

/// The most attributes of one template.
const ATTRIBUTES_MAX: usize = 64;

/// The most bytes of one argument: a command takes less.
const BYTES_MAX: usize = 1 << 17;

/// Copies `length` bytes.
///
/// # Safety
/// `from` is null, or points to `length` bytes.
pub(crate) unsafe fn bytes(from: *const CK_BYTE, length: CK_ULONG) -> Answer<Vec<u8>> {
    let length = length as usize;
    if length == 0 {
        return Ok(Vec::new());
    }
    if from.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    if length > BYTES_MAX {
        return Err(CKR_DATA_LEN_RANGE);
    }
    // SAFETY: not null, and the caller vouches for the length, which is bounded.
    Ok(unsafe { std::slice::from_raw_parts(from, length) }.to_vec())
}

/// Writes a value where the caller wants it.
///
/// # Safety
/// `to` is null, or points to a `T` that may be written.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Answer<()> {
    if to.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for it.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// The standard's way to give bytes out: their number when there is no buffer, else the bytes when
/// they fit. True when they were written.
///
/// # Safety
/// `length` is null or points to the length of the buffer at `to`, which is null or as long.
pub(crate) unsafe fn give(
    to: *mut CK_BYTE,
    length: *mut CK_ULONG,
    needed: usize,
    make: impl FnOnce() -> Answer<Vec<u8>>,
) -> Answer<bool> {
    if length.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for it.
    let room = unsafe { length.read_unaligned() } as usize;
    if to.is_null() || room < needed {
        // SAFETY: as above.
        unsafe { length.write_unaligned(needed as CK_ULONG) };
        return match to.is_null() {
            true => Ok(false),
            false => Err(CKR_BUFFER_TOO_SMALL),
        };
    }
    let made = make()?;
    if made.len() > needed {
        return Err(CKR_DEVICE_ERROR);
    }
    // SAFETY: `to` has room for `needed` bytes, as the caller says, and `made` is no longer.
    unsafe {
        std::ptr::copy_nonoverlapping(made.as_ptr(), to, made.len());
        length.write_unaligned(made.len() as CK_ULONG);
    }
    Ok(true)
}

/// A list of numbers, in the standard's way.
///
/// # Safety
/// `count` is null or points to the number of places at `to`, which is null or as long.
pub(crate) unsafe fn list(
    to: *mut CK_ULONG,
    count: *mut CK_ULONG,
    items: &[CK_ULONG],
) -> Answer<()> {
    if count.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for it.
    let room = unsafe { count.read_unaligned() } as usize;
    // SAFETY: as above.
    unsafe { count.write_unaligned(items.len() as CK_ULONG) };
    if to.is_null() {
        return Ok(());
    }
    if room < items.len() {
        return Err(CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: there is room for all of them, as the caller says.
    unsafe { std::ptr::copy_nonoverlapping(items.as_ptr(), to, items.len()) };
    Ok(())
}

/// Reads a template.
///
/// # Safety
/// `from` is null or points to `count` attributes, each of which points to as much as it says.
pub(crate) unsafe fn template(from: *const CK_ATTRIBUTE, count: CK_ULONG) -> Answer<Template> {
    let count = count as usize;
    if count > ATTRIBUTES_MAX || (count > 0 && from.is_null()) {
        return Err(CKR_ARGUMENTS_BAD);
    }
    let mut template = Vec::with_capacity(count);
    for at in 0..count {
        // SAFETY: below `count`, for which the caller vouches.
        let attribute = unsafe { from.add(at).read_unaligned() };
        // SAFETY: the attribute says so itself.
        let value = unsafe { bytes(attribute.pValue.cast(), attribute.ulValueLen) }?;
        template.push((attribute.type_, value));
    }
    Ok(template)
}

/// Answers a template: the values that there are, and which are missing, withheld or too long.
///
/// # Safety
/// As for [`template`], and the values may be written.
pub(crate) unsafe fn answer(to: *mut CK_ATTRIBUTE, count: CK_ULONG, all: &Template) -> Answer<()> {
    let count = count as usize;
    if count > ATTRIBUTES_MAX || (count > 0 && to.is_null()) {
        return Err(CKR_ARGUMENTS_BAD);
    }
    let mut outcome = Ok(());
    for at in 0..count {
        // SAFETY: below `count`, for which the caller vouches.
        let mut attribute = unsafe { to.add(at).read_unaligned() };
        let value = all.iter().find(|(kind, _)| *kind == attribute.type_);
        match value {
            None => {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = Err(match attribute.type_ {
                    CKA_VALUE => CKR_ATTRIBUTE_SENSITIVE,
                    _ => CKR_ATTRIBUTE_TYPE_INVALID,
                });
            }
            Some((_, value)) if attribute.pValue.is_null() => {
                attribute.ulValueLen = value.len() as CK_ULONG;
            }
            Some((_, value)) if (attribute.ulValueLen as usize) < value.len() => {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = Err(CKR_BUFFER_TOO_SMALL);
            }
            Some((_, value)) => {
                attribute.ulValueLen = value.len() as CK_ULONG;
                // SAFETY: the attribute says that there is room, and there is enough.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        value.as_ptr(),
                        attribute.pValue.cast::<u8>(),
                        value.len(),
                    );
                }
            }
        }
        // SAFETY: as for reading it.
        unsafe { to.add(at).write_unaligned(attribute) };
    }
    outcome
}

/// A mechanism: its number, and its parameters of AES-GCM when it has such.
///
/// # Safety
/// `from` is null or points to a mechanism whose parameter is what its number says.
pub(crate) unsafe fn mechanism(
    from: *const CK_MECHANISM,
) -> Answer<(CK_MECHANISM_TYPE, Option<crate::application::Gcm>)> {
    if from.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for it.
    let mechanism = unsafe { from.read_unaligned() };
    if mechanism.mechanism != CKM_AES_GCM {
        return Ok((mechanism.mechanism, None));
    }
    let length = mechanism.ulParameterLen as usize;
    if mechanism.pParameter.is_null() || length != size_of::<CK_GCM_PARAMS>() {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: not null, and of the parameters' length.
    let gcm: CK_GCM_PARAMS = unsafe {
        mechanism
            .pParameter
            .cast::<CK_GCM_PARAMS>()
            .read_unaligned()
    };
    if gcm.ulTagBits != 128 || gcm.ulIvLen != 12 {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: the parameters say how long both are.
    let (nonce, aad) = unsafe { (bytes(gcm.pIv, gcm.ulIvLen)?, bytes(gcm.pAAD, gcm.ulAADLen)?) };
    Ok((CKM_AES_GCM, Some(crate::application::Gcm { nonce, aad })))
}

/// Text in a field of fixed length, padded with blanks as the standard has it.
pub(crate) fn padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let mut field = [b' '; N];
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    field
}
