//! The fields of an X.509 certificate (RFC 5280) that decide whether a server is trusted.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The extensions of RFC 5280 have object identifiers `2.5.29.x`.
const EXTENSION: &[u8] = &[0x55, 0x1d];
const SUBJECT_KEY_ID: u8 = 14;
const KEY_USAGE: u8 = 15;
const SUBJECT_ALT_NAME: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const NAME_CONSTRAINTS: u8 = 30;
const AUTHORITY_KEY_ID: u8 = 35;
const EXTENDED_KEY_USAGE: u8 = 37;
/// `id-kp-serverAuth`.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// Bits of the key usage, counted from the left.
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const KEY_AGREEMENT: u8 = 0x08;
const KEY_CERT_SIGN: u8 = 0x04;

/// A parsed certificate; all parts are slices of its DER.
pub(super) struct Certificate<'a> {
    /// The signed part.
    pub(super) signed: &'a [u8],
    /// Contents of the `AlgorithmIdentifier`.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// Seconds since 1970.
    validity: (i64, i64),
    /// Contents of the `AlgorithmIdentifier` of the public key.
    pub(super) key_algorithm: &'a [u8],
    pub(super) public_key: &'a [u8],
    key_usage: Option<u8>,
    extended_key_usage: Option<&'a [u8]>,
    pub(super) has_subject_alt_name: bool,
    /// The constraint on the number of CAs below it; `None` if it is not a CA.
    path_length: Option<u64>,
    /// Whether an extension restricts it in a way that only the TLS library checks.
    has_other_limits: bool,
}

impl<'a> Certificate<'a> {
    /// Parses a certificate of any version; `None` if it is malformed.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(Reader(der).expect(SEQUENCE)?);
        let signed_and_rest = outer.0;
        let mut fields = Reader(outer.expect(SEQUENCE)?);
        let signed = &signed_and_rest[..signed_and_rest.len() - outer.0.len()];
        let signature_algorithm = outer.expect(SEQUENCE)?;
        let signature = bits(outer.expect(BIT_STRING)?)?;
        if fields.peek() == Some(VERSION) {
            fields.next()?;
        }
        fields.expect(INTEGER)?;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = Reader(fields.expect(SEQUENCE)?);
        let validity = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = fields.expect(SEQUENCE)?;
        let mut key = Reader(fields.expect(SEQUENCE)?);
        let mut certificate = Self {
            signed,
            signature_algorithm,
            signature,
            issuer,
            subject,
            validity,
            key_algorithm: key.expect(SEQUENCE)?,
            public_key: bits(key.expect(BIT_STRING)?)?,
            key_usage: None,
            extended_key_usage: None,
            has_subject_alt_name: false,
            path_length: None,
            has_other_limits: false,
        };
        while let Some((tag, content)) = fields.next() {
            if tag == EXTENSIONS {
                let mut all = Reader(Reader(content).expect(SEQUENCE)?);
                while !all.0.is_empty() {
                    certificate.read_extension(all.expect(SEQUENCE)?)?;
                }
            }
        }
        Some(certificate)
    }

    fn read_extension(&mut self, text: &'a [u8]) -> Option<()> {
        let mut fields = Reader(text);
        let id = fields.expect(OBJECT_ID)?;
        let mut is_critical = false;
        if fields.peek() == Some(BOOLEAN) {
            is_critical = fields.expect(BOOLEAN)? != [0];
        }
        let value = fields.expect(OCTET_STRING)?;
        let known = id.strip_prefix(EXTENSION).and_then(|rest| match rest {
            [number] => Some(*number),
            _ => None,
        });
        match known {
            Some(KEY_USAGE) => {
                let usage = bits(Reader(value).expect(BIT_STRING)?)?;
                self.key_usage = Some(usage.first().copied().unwrap_or_default());
            }
            Some(EXTENDED_KEY_USAGE) => {
                self.extended_key_usage = Some(Reader(value).expect(SEQUENCE)?);
            }
            Some(SUBJECT_ALT_NAME) => self.has_subject_alt_name = true,
            Some(BASIC_CONSTRAINTS) => {
                let mut fields = Reader(Reader(value).expect(SEQUENCE)?);
                let is_authority = fields.peek() == Some(BOOLEAN) && fields.expect(BOOLEAN)? != [0];
                let length = match fields.peek() {
                    Some(INTEGER) => number(fields.expect(INTEGER)?)?,
                    _ => u64::MAX,
                };
                self.path_length = is_authority.then_some(length);
            }
            Some(SUBJECT_KEY_ID | AUTHORITY_KEY_ID) => {}
            Some(NAME_CONSTRAINTS) => self.has_other_limits = true,
            _ => self.has_other_limits |= is_critical,
        }
        Some(())
    }

    /// Whether it is valid at this time, in seconds since 1970.
    pub(super) fn is_valid_at(&self, now: i64) -> bool {
        (self.validity.0..=self.validity.1).contains(&now) && !self.has_other_limits
    }

    /// Whether its extensions permit its use by a server.
    pub(super) fn may_serve(&self) -> bool {
        let may_use =
            |usage: u8| usage & (DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT) != 0;
        self.key_usage.is_none_or(may_use) && self.is_for_servers()
    }

    /// Whether it is a CA that permits this many other CAs below it.
    pub(super) fn may_issue(&self, below: u64) -> bool {
        let may_sign = |usage: u8| usage & KEY_CERT_SIGN != 0;
        self.path_length.is_some_and(|length| below <= length)
            && self.key_usage.is_none_or(may_sign)
            && self.is_for_servers()
    }

    fn is_for_servers(&self) -> bool {
        self.extended_key_usage.is_none_or(|usages| {
            let mut usages = Reader(usages);
            std::iter::from_fn(|| usages.next()).any(|(_, id)| id == SERVER_AUTH)
        })
    }

    /// The common name of the subject; the last one if there are several, as in curl.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        let mut name = None;
        let mut sets = Reader(self.subject);
        while let Some(set) = sets.expect(SET) {
            let mut attributes = Reader(set);
            while let Some(attribute) = attributes.expect(SEQUENCE) {
                let mut fields = Reader(attribute);
                if fields.expect(OBJECT_ID)? == COMMON_NAME {
                    name = str::from_utf8(fields.next()?.1).ok();
                }
            }
        }
        name
    }
}

/// The algorithm and the key in the contents of a `SubjectPublicKeyInfo`.
pub(super) fn public_key(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Reader(contents);
    Some((fields.expect(SEQUENCE)?, bits(fields.expect(BIT_STRING)?)?))
}

/// The first DER element of several.
pub(super) fn first_element(der: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(der);
    reader.expect(SEQUENCE)?;
    Some(&der[..der.len() - reader.0.len()])
}

/// A reader that takes DER elements from the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = length
                    .iter()
                    .fold(0, |all, byte| all << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }
}

/// A bit string without its count of unused bits.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.split_first().map(|(_, bits)| bits)
}

fn number(content: &[u8]) -> Option<u64> {
    let digits = content.len() <= 8;
    digits.then(|| {
        content
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    })
}

fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let seconds = part(8).unwrap_or_default();
    let at = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, seconds, 0).ok()?;
    let at = at.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_second())
}
