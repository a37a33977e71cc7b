//! What the module's own numbers mean for whoever asked.

use cryptoki::error::{Error, RvError};

use crate::HsmError;

/// Why a call into the module failed.
pub(crate) enum Fault {
    /// The session, the token or the module is gone: begin anew and ask again.
    Lost(String),
    /// The token gives no further session.
    Full,
    /// An answer: asking again at once gets the same.
    Said(HsmError),
}

impl From<HsmError> for Fault {
    fn from(error: HsmError) -> Fault {
        Fault::Said(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        use RvError as R;
        match &error {
            Error::Pkcs11(R::SessionCount, _) => Fault::Full,
            Error::Pkcs11(code, _) => match code {
                R::SessionHandleInvalid
                | R::SessionClosed
                | R::DeviceRemoved
                | R::DeviceError
                | R::DeviceMemory
                | R::HostMemory
                | R::TokenNotPresent
                | R::TokenNotRecognized
                | R::SlotIdInvalid
                | R::UserNotLoggedIn
                | R::UserAnotherAlreadyLoggedIn
                | R::CryptokiNotInitialized
                | R::ObjectHandleInvalid
                | R::KeyHandleInvalid
                | R::OperationActive
                | R::OperationNotInitialized
                | R::FunctionCanceled
                | R::FunctionFailed
                | R::GeneralError => Fault::Lost(said(&error)),
                _ => Fault::Said(HsmError::refused(said(&error))),
            },
            _ => Fault::Said(HsmError::unavailable(said(&error))),
        }
    }
}

/// An error in few words: the standard's own are paragraphs.
pub(crate) fn said(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function:?} answered {code:?}"),
        other => other.to_string(),
    }
}
