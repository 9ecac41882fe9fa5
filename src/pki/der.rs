//! Reads DER as Go does (golang.org/x/crypto/cryptobyte): one element after the other, strict DER only. The parsers
//! used elsewhere accept more.

/// The bytes that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

/// Returns the tag of a context-specific element, `[number]`.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Returns the tag of a constructed context-specific element.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const NUMERIC_STRING: u8 = 0x12;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const TELETEX_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element: its tag, its content, and its whole encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn octets(&self) -> &'a [u8] {
        self.0
    }

    /// Returns true if an element with this tag comes next.
    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Reads any element. Its length must have the shortest encoding, in at most four octets.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, &first) = (self.0.first()?, self.0.get(1)?);
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, header) = if first & 0x80 == 0 {
            (usize::from(first), 2)
        } else {
            let octets = usize::from(first & 0x7f);
            let written = self.0.get(2..2 + octets).filter(|_| (1..=4).contains(&octets))?;
            let length = written.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
            if length < 0x80 || written.first() == Some(&0) {
                return None;
            }
            (length, 2 + octets)
        };
        let whole = self.0.get(..header.checked_add(length)?)?;
        self.0 = self.0.get(whole.len()..)?;
        Some(Element { tag, content: whole.get(header..)?, whole })
    }

    /// Reads an element that has this tag.
    pub(super) fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        self.any().filter(|element| element.tag == tag)
    }

    /// Reads an element with this tag, and returns a reader of its content.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Der<'a>> {
        self.element(tag).map(|element| Der(element.content))
    }

    /// Reads an optional element, and returns a reader of its content.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<Der<'a>>> {
        if self.is_next(tag) { self.inside(tag).map(Some) } else { Some(None) }
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.element(BOOLEAN)?.content {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// Reads an integer's octets, big-endian, in their shortest form.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let content = self.element(INTEGER)?.content;
        is_integer(content).then_some(content)
    }

    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        let content = self.element(OBJECT_IDENTIFIER)?.content;
        is_oid(content).then_some(content)
    }

    /// Reads a bit string that ends with a whole octet, or with unused bits that are zero.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        let (&unused, bits) = self.element(BIT_STRING)?.content.split_first()?;
        let last = bits.last().copied();
        let fits = match last {
            Some(last) => unused <= 7 && u16::from(last) & ((1 << unused) - 1) == 0,
            None => unused == 0,
        };
        fits.then_some(bits)
    }

    /// Reads a time: `YYMMDDhhmm[ss]` or `YYYYMMDDhhmmss`, in UTC or with an offset from it.
    pub(super) fn time(&mut self) -> Option<()> {
        let element = self.any()?;
        let text = std::str::from_utf8(element.content).ok()?;
        let (year, seconds_may_lack) = match element.tag {
            UTC_TIME => (2, true),
            GENERALIZED_TIME => (4, false),
            _ => return None,
        };
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (digits, zone) = text.split_at(end);
        let number = |from: usize| digits.get(from..from + 2)?.parse::<u8>().ok();
        let years = match (year, digits.get(..year)?.parse::<i32>().ok()?) {
            (2, short @ 69..) => 1900 + short,
            (2, short) => 2000 + short,
            (_, whole) => whole,
        };
        let month = time::Month::try_from(number(year)?).ok()?;
        time::Date::from_calendar_date(years, month, number(year + 2)?).ok()?;
        let seconds = match digits.len() - year {
            10 => number(year + 8)?,
            8 if seconds_may_lack => 0,
            _ => return None,
        };
        let in_a_day = number(year + 4)? < 24 && number(year + 6)? < 60 && seconds < 60;
        (in_a_day && is_zone(zone)).then_some(())
    }
}

/// Returns true for `Z`, or an offset from UTC in hours and minutes.
fn is_zone(zone: &str) -> bool {
    let Some(offset) = zone.strip_prefix(['+', '-']) else { return zone == "Z" };
    let is_number = offset.len() == 4 && offset.bytes().all(|octet| octet.is_ascii_digit());
    is_number && offset != "0000" && offset[..2] <= *"24" && offset[2..] < *"60"
}

/// Returns true if an integer is encoded in the fewest possible octets.
pub(super) fn is_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// Returns true if an integer fits into a signed 64-bit integer.
pub(super) fn is_small(content: &[u8]) -> bool {
    content.len() <= 8
}

/// Returns true if an integer is above zero.
pub(super) fn is_positive(content: &[u8]) -> bool {
    content.first().is_some_and(|first| first & 0x80 == 0) && content != [0]
}

/// Returns true if an object identifier's numbers are complete, in their shortest encoding and below 2^31.
fn is_oid(content: &[u8]) -> bool {
    let (mut number, mut begins) = (0_u32, true);
    for (at, octet) in content.iter().enumerate() {
        if begins && *octet == 0x80 || number >= 1 << 24 {
            return false;
        }
        number = number << 7 | u32::from(octet & 0x7f);
        begins = octet & 0x80 == 0;
        if begins {
            number = 0;
        } else if at + 1 == content.len() {
            return false;
        }
    }
    !content.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_integers_identifiers_and_bits_have_one_form() {
        let long: Vec<u8> = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert!(Der::new(&long).any().is_some());
        for wrong in [&[4, 0x81, 1, 7][..], &[4, 0x82, 0, 0x80], &[4, 0x80, 0, 0], &[4, 2, 7], &[0x1f, 1, 1], &[4]] {
            assert!(Der::new(wrong).any().is_none(), "{wrong:?}");
        }
        for (content, right) in
            [(&[0][..], true), (&[0, 0x80], true), (&[0, 1], false), (&[0xff, 0x80], false), (&[], false)]
        {
            assert_eq!(is_integer(content), right, "{content:?}");
        }
        for (content, right) in
            [(&[0x55, 0x1d, 0x0f][..], true), (&[0x55, 0x80, 1], false), (&[0x55, 0x81], false), (&[], false)]
        {
            assert_eq!(is_oid(content), right, "{content:?}");
        }
        for (content, right) in [
            (&[0][..], true),
            (&[1, 6], true),
            (&[1, 5], false),
            (&[2, 6], false),
            (&[8, 0], false),
            (&[1], false),
            (&[], false),
        ] {
            let element: Vec<u8> = [&[3, u8::try_from(content.len()).expect("short")][..], content].concat();
            assert_eq!(Der::new(&element).bits().is_some(), right, "{content:?}");
        }
        assert_eq!(Der::new(&[1, 1, 1]).boolean(), None);
    }

    #[test]
    fn times_are_those_that_go_writes_back_as_they_were() {
        for (tag, text, right) in [
            (UTC_TIME, "261123120000Z", true),
            (UTC_TIME, "2611231200Z", true),
            (UTC_TIME, "261123120000+0100", true),
            (UTC_TIME, "261123120000+0000", false),
            (UTC_TIME, "261123120000", false),
            (UTC_TIME, "261123120060Z", false),
            (UTC_TIME, "260230120000Z", false),
            (UTC_TIME, "20261123120000Z", false),
            (GENERALIZED_TIME, "20261123120000Z", true),
            (GENERALIZED_TIME, "202611231200Z", false),
            (GENERALIZED_TIME, "20261123120000.5Z", false),
            (IA5_STRING, "261123120000Z", false),
        ] {
            let element: Vec<u8> = [&[tag, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
            assert_eq!(Der::new(&element).time().is_some(), right, "{tag} {text}");
        }
    }
}
