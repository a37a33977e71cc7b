//! Golden vectors: lines of `name = value`, where `#` starts a comment.

pub(crate) struct Vector(pub(crate) &'static str);

impl Vector {
    pub(crate) fn text(&self, name: &str) -> &'static str {
        let mut fields = self.0.lines().filter_map(|line| line.split_once(" = "));
        let (_, value) = fields
            .find(|(field, _)| *field == name)
            .expect("the vector names it");
        value
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let pairs = self.text(name).as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
        pairs.map(|pair| byte(pair).expect("hexadecimal")).collect()
    }
}
