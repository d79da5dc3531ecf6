//! One control sequence (`ESC [ … final`), taken apart.

/// More parameters than this are dropped, as in vte.
const MAX_PARAMS: usize = 32;

/// A well-formed control sequence. Malformed ones (`CSI 1?h`) never become one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Csi<'a> {
    /// Everything between `ESC [` and the final byte.
    pub(crate) raw: &'a [u8],
    /// `<`, `=`, `>` or `?`, else 0.
    pub(crate) prefix: u8,
    /// The intermediate byte, 0 for none, 0xff for several (no sequence known here has several).
    pub(crate) intermediate: u8,
    pub(crate) last: u8,
    params: &'a [u8],
}

impl<'a> Csi<'a> {
    pub(crate) fn parse(raw: &'a [u8], last: u8) -> Option<Self> {
        let (prefix, body) = match raw {
            [b @ b'<'..=b'?', body @ ..] => (*b, body),
            _ => (0, raw),
        };
        let (params, intermediate) = match body {
            [params @ .., one @ 0x20..=0x2f] => match params.last() {
                Some(0x20..=0x2f) => (params, 0xff),
                _ => (params, *one),
            },
            _ => (body, 0),
        };
        if params.iter().any(|b| !matches!(b, b'0'..=b';')) && intermediate != 0xff {
            return None;
        }
        Some(Self { raw, prefix, intermediate, last, params })
    }

    /// Prefix, intermediate and final byte: what tells one function from another.
    pub(crate) fn kind(&self) -> (u8, u8, u8) {
        (self.prefix, self.intermediate, self.last)
    }

    pub(crate) fn has_params(&self) -> bool {
        !self.params.is_empty()
    }

    pub(crate) fn params(&self) -> Params {
        Params::parse(self.params)
    }

    /// The `index`th parameter, or `default` where it is missing or 0.
    pub(crate) fn param(&self, index: usize, default: u16) -> u16 {
        match self.params().first_of(index) {
            Some(n) if n > 0 => n,
            _ => default,
        }
    }
}

/// The numbers of a control sequence; `38:2:1` is one parameter of three numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params {
    values: [u16; MAX_PARAMS],
    len: usize,
    /// Bit i: value i stands after a colon, so it belongs to the parameter before it.
    sub: u32,
}

impl Params {
    fn parse(bytes: &[u8]) -> Self {
        let mut params = Self { values: [0; MAX_PARAMS], len: 1, sub: 0 };
        for byte in bytes {
            if byte.is_ascii_digit() {
                let value = &mut params.values[params.len - 1];
                *value = value.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                continue;
            }
            if params.len == MAX_PARAMS {
                break;
            }
            if *byte == b':' {
                params.sub |= 1 << params.len;
            }
            params.len += 1;
        }
        params
    }

    /// The parameters in order, each with its colon-separated numbers; never empty.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &[u16]> {
        let mut from = 0;
        std::iter::from_fn(move || {
            if from >= self.len {
                return None;
            }
            let mut end = from + 1;
            while end < self.len && self.sub & (1 << end) != 0 {
                end += 1;
            }
            let group = &self.values[from..end];
            from = end;
            Some(group)
        })
    }

    /// First number of the `index`th parameter.
    pub(crate) fn first_of(&self, index: usize) -> Option<u16> {
        self.groups().nth(index).map(|group| group[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(raw: &str) -> Vec<Vec<u16>> {
        let csi = Csi::parse(raw.as_bytes(), b'm').expect("well-formed");
        csi.params().groups().map(<[u16]>::to_vec).collect()
    }

    #[test]
    fn colons_bind_numbers_into_one_parameter() {
        assert_eq!(groups("1;38:2::10:20:30;4"), [vec![1], vec![38, 2, 0, 10, 20, 30], vec![4]]);
        assert_eq!(groups(""), [vec![0]]);
        assert_eq!(groups(";7"), [vec![0], vec![7]]);
        assert_eq!(groups("99999999"), [vec![u16::MAX]]);
    }

    #[test]
    fn prefix_and_intermediate_are_told_apart() {
        let csi = Csi::parse(b"?2026$", b'p').expect("well-formed");
        assert_eq!(csi.kind(), (b'?', b'$', b'p'));
        assert_eq!(csi.param(0, 1), 2026);
        assert!(Csi::parse(b"1?", b'h').is_none());
        assert!(Csi::parse(b"1$2", b'h').is_none());
    }

    #[test]
    fn parameters_past_the_limit_are_dropped() {
        let raw = vec!["1"; 80].join(";");
        assert_eq!(groups(&raw).len(), MAX_PARAMS);
    }
}
