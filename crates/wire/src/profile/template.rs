//! What is typed: text with places for the parts of a bundle.

use std::format;
use std::string::String;
use std::vec::Vec;

/// A part of a bundle that a profile may write and read back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The factory password. Secret.
    Password,
    /// The serial.
    Serial,
    /// The try.
    Attempt,
    /// The unit's own certificate (DER).
    Certificate,
    /// Its private key (PKCS#8 DER), when one was minted. Secret.
    Key,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] = [
        Part::Password,
        Part::Serial,
        Part::Attempt,
        Part::Certificate,
        Part::Key,
    ];

    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Password => "password",
            Part::Serial => "serial",
            Part::Attempt => "attempt",
            Part::Certificate => "certificate",
            Part::Key => "key",
        }
    }

    /// Whether nobody may see it.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Part::Password | Part::Key)
    }

    pub(crate) fn named(word: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.as_str() == word)
    }
}

/// How a part is spelt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Form {
    /// As it is; certificates and keys cannot be.
    Plain,
    /// Lower-case hexadecimal digits.
    Hex,
    /// RFC 4648, with padding.
    Base64,
    /// SHA-256 of its bytes, in lower-case hexadecimal digits: to read back, never to write.
    Sha256,
}

impl Form {
    const ALL: [Form; 4] = [Form::Plain, Form::Hex, Form::Base64, Form::Sha256];

    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Hex => "hex",
            Form::Base64 => "base64",
            Form::Sha256 => "sha256",
        }
    }
}

/// A part in a form: `password`, or `certificate:base64`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Value {
    /// Which part.
    pub part: Part,
    /// How it is spelt.
    pub form: Form,
}

impl Value {
    /// Reads `part` or `part:form`.
    ///
    /// # Errors
    /// A sentence that lists what there is.
    pub fn parse(text: &str) -> Result<Value, String> {
        let (part, form) = text.split_once(':').unwrap_or((text, "plain"));
        let forms = Form::ALL.into_iter().find(|known| known.as_str() == form);
        let (Some(part), Some(form)) = (Part::named(part), forms) else {
            return Err(format!(
                "`{text}` is no part: expected password, serial, attempt, certificate or key, \
                 with :hex, :base64 or :sha256 behind it where it is not written plainly"
            ));
        };
        if form == Form::Plain && matches!(part, Part::Certificate | Part::Key) {
            return Err(format!(
                "a {} is not text: write {text}:base64 or {text}:hex",
                part.as_str()
            ));
        }
        Ok(Value { part, form })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.form {
            Form::Plain => f.write_str(self.part.as_str()),
            form => write!(f, "{}:{}", self.part.as_str(), form.as_str()),
        }
    }
}

/// One piece of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Typed as it is.
    Text(String),
    /// A part of the bundle.
    Value(Value),
    /// A password of the same shape that is not the unit's: it must be refused.
    Decoy,
    /// The next piece of what `split` names.
    Part,
    /// The port's path, for a tool.
    Port,
}

/// Text with places; `{{` and `}}` are braces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    /// As it was written: what a transcript shows.
    pub text: String,
    /// Its pieces.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                return Err(format!("`{text}` has a lonely brace: double it"));
            };
            rest = after;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(match name {
                "decoy" => Piece::Decoy,
                "piece" => Piece::Part,
                "port" => Piece::Port,
                name => Piece::Value(Value::parse(name)?),
            });
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if text.chars().any(char::is_control) {
            return Err("a control character is typed with `key`, not `send`".into());
        }
        Ok(Template {
            text: text.into(),
            pieces,
        })
    }

    /// The parts it writes.
    pub(crate) fn values(&self) -> impl Iterator<Item = Value> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(value) => Some(*value),
            _ => None,
        })
    }

    pub(crate) fn has(&self, piece: &Piece) -> bool {
        self.pieces.contains(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<usize, &str>) {
        match (Template::parse(text), expected) {
            (Ok(template), Ok(pieces)) => assert_eq!(template.pieces.len(), pieces, "{text}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn places_are_found_and_mistakes_named() {
        check("AT+X=\"{password}\",{serial}", Ok(4));
        check("echo {{x}} {certificate:base64}", Ok(2));
        check("", Ok(0));
        check("{passwort}", Err("`passwort` is no part"));
        check("{key}", Err("write key:base64"));
        check("a { b", Err("lonely brace"));
        check("a } b", Err("lonely brace"));
        check("a\u{3}", Err("control character"));
    }
}
