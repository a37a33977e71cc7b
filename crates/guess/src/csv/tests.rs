use super::*;

/// Reads the text in pieces of `piece` bytes.
fn read(text: &[u8], piece: usize) -> Result<Read, Error> {
    let mut reader = Reader::new();
    for piece in text.chunks(piece) {
        reader.feed(piece)?;
    }
    reader.finish()
}

/// `line: column=cell ...` for each row, or the error; the same in pieces of every size.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    for piece in [1, 2, 3, 7, 64, 1 << 20] {
        let got = match read(text.as_ref(), piece) {
            Err(error) => error.to_string(),
            Ok(read) => {
                let row = |row: usize| {
                    let cells = read.columns.iter().map(|column| {
                        let cell = String::from_utf8_lossy(read.list.cell(*column, row));
                        format!(" {}={cell}", column.name())
                    });
                    format!("{}:{}", read.lines[row], cells.collect::<String>())
                };
                let rows: Vec<String> = (0..read.list.len()).map(row).collect();
                rows.join(" | ")
            }
        };
        assert_eq!(
            got,
            expected,
            "{} in pieces of {piece}",
            text.as_ref().escape_ascii()
        );
    }
}

#[test]
fn tables_are_read_as_factories_write_them() {
    let expected = "2: serial=A1 password=x y | 3: serial=A2 password=z,\"";
    check("serial,password\nA1,x y\nA2,\"z,\"\"\"\n", expected);
    check("serial;password\r\nA1;x y\r\nA2;\"z,\"\"\"", expected);
    check(
        "\u{feff}Serial\tPASSWORD\nA1\tx y\nA2\t\"z,\"\"\"\n",
        expected,
    );
    check(
        "\"Serial Number\",colour,\"password\"\nA1,red,x y\nA2,\"re\nd\",\"z,\"\"\"\n",
        expected,
    );
    check("serial,password,\nA1,x y,\nA2,\"z,\"\"\",\n", expected);
    check("password\nx\n\n\ny\n", "2: password=x | 5: password=y");
    check(
        "password,note\nx,\"two\nlines\"\ny,\n",
        "2: password=x | 4: password=y",
    );
    check(
        "date,mac,uid,ssid,model,password\n,,,,,p\n",
        "2: date= mac= uid= ssid= model= password=p",
    );
    check(" password \n  x\t\n", "2: password=x");
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    let expected = "2: password=x | 4: password=y";
    check("password\nx\n\ny\n", expected);
    check("password\r\nx\r\n\r\ny", expected);
    check("password\rx\r\ry\r", expected);
}

#[test]
fn what_is_left_out_is_said() {
    let read = read(b"colour,password,result\nred,x,PASS\n", 5).unwrap();
    assert_eq!(read.ignored, ["colour", "result"]);
    assert_eq!(read.columns, [Column::Password]);
}

#[test]
fn an_unusable_table_says_where_and_what_to_do() {
    let rest = "The first line must name the columns: serial, mac, model, ssid, uid, date and password, as far as there are any";
    let none = format!(
        "line 1: none of its 0 columns is called `password` (known: none that is known). {rest}"
    );
    check("", &none);
    let two =
        format!("line 1: none of its 2 columns is called `password` (known: serial, mac). {rest}");
    check("serial,mac\n1,2\n", &two);
    // A file without a header: nothing of its first unit is repeated.
    let three = format!(
        "line 1: none of its 3 columns is called `password` (known: none that is known). {rest}"
    );
    check(
        "A1;021A2B3C4D5E;K7QDM2X9TR4W\nA2;021A2B3C4D5F;9XTR4WK7QDM2\n",
        &three,
    );
    check(
        "password",
        "line 1, column 1: there are no rows under the header",
    );
    check(
        "password\r\n",
        "line 2, column 1: there are no rows under the header",
    );
    check(
        "serial,password,sn\n1,2,3\n",
        "line 1: columns 1 and 3 are both `serial`; rename one of them",
    );
    check(
        "serial,password\n1,x\n2\n",
        "line 3, column 2: the row has 1 columns, the header 2",
    );
    check(
        "serial,password\n1,x\n2,y,z\n",
        "line 3, column 3: the row has 3 columns, the header 2",
    );
    check(
        "serial,password\n1,x\n2,\n",
        "line 3, column 2: the password is empty",
    );
    check(
        "serial,password\n1,\"x\n2,y\n",
        "line 2, column 2 (password): it holds a control character or a line break; is a quote left open?",
    );
    check(
        "serial,password\n1,a\0b\n",
        "line 2, column 2 (password): it holds a control character or a line break; is a quote left open?",
    );
    check(
        b"\xff\xfep\0a\0s\0s\0",
        "line 1, column 1: this is UTF-16 text; save the table as CSV in UTF-8",
    );
    let long = "x".repeat(CELL_MAX + 1);
    check(
        format!("password\n{long}\n"),
        "line 2, column 1 (password): it is too long for an identifier or a password; is a quote left open?",
    );
    let open = format!("password,note\nx,\"{}", "y\n".repeat(ROW_MAX));
    let got = read(open.as_bytes(), 4_096).err();
    assert_eq!(got, Some(Error::TooLong { line: 2, column: 2 }));
    let endless = read("x".repeat(ROW_MAX * 2).as_bytes(), 4_096).err();
    assert_eq!(endless, Some(Error::TooLong { line: 1, column: 1 }));
}
