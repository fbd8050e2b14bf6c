package transcode

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// valid reports whether the tokenizer takes an input as one JSON value.
func valid(in []byte) bool {
	s := scanner{in: in, maxNumber: 1 << 20}
	return s.skip(1<<20) == nil && s.end() == nil
}

// RFC 8259, in the manner of JSONTestSuite: y_ must be accepted, n_ refused.
var syntaxCases = []struct{ name, in string }{
	{"y_array_empty", "[]"},
	{"y_array_spaces", "[ \t\r\n]"},
	{"y_array_nested", "[[[]],[]]"},
	{"y_array_mixed", `[null, 1, "1", {}, false]`},
	{"y_array_leading_space", " [1]"},
	{"y_array_trailing_space", "[2] \n"},
	{"y_array_several_null", "[1,null,null,null,2]"},
	{"y_object_empty", "{}"},
	{"y_object_empty_name", `{"":0}`},
	{"y_object_duplicate_name", `{"a":"b","a":"c"}`},
	{"y_object_escaped_null_in_name", `{"foo\u0000bar":42}`},
	{"y_object_nested", `{"a":[{"b":{}}]}`},
	{"y_object_newlines", "{\n\"a\" :\n\"b\"\n}"},
	{"y_number_zero", "0"},
	{"y_number_minus_zero", "-0"},
	{"y_number_exponent", "[123e65]"},
	{"y_number_0e1", "0e+1"},
	{"y_number_capital_e_plus", "1E+2"},
	{"y_number_capital_e_minus", "1E-2"},
	{"y_number_fraction_exponent", "123.456e78"},
	{"y_number_close_to_zero", "-0.000000000000000000000000000000000000000000000000000000000000000000000000000001"},
	{"y_number_huge_exponent", "1e9999999999"},
	{"y_number_long", "123456789012345678901234567890"},
	{"y_string_empty", `""`},
	{"y_string_all_escapes", `"\"\\\/\b\f\n\r\t"`},
	{"y_string_escaped_control", `"\u0012"`},
	{"y_string_escaped_hex_case", `"\uAbCd"`},
	{"y_string_surrogate_pair", `"\uD801\udc37"`},
	{"y_string_two_pairs", `"\ud83d\ude39\ud83d\udc8d"`},
	{"y_string_escaped_noncharacter", `"\uFFFF"`},
	{"y_string_utf8", `"€𝄞"`},
	{"y_string_u2028", "\"\u2028\u2029\""},
	{"y_string_del", "\"\x7f\""},
	{"y_string_replacement_character", "\"\ufffd\""},
	{"y_string_escaped_backslash_quote", `"\\\"a"`},
	{"y_string_double_escape_u", `"\\u0000"`},
	{"y_string_of_eight", `"12345678"`},
	{"y_string_quote_in_each_place", `["1","12","123","1234","12345","123456","1234567","12345678","123456789"]`},
	{"y_literal_true", "true"},
	{"y_literal_false", "false"},
	{"y_literal_null", "null"},

	{"n_nothing", ""},
	{"n_space", " "},
	{"n_array_unclosed", "["},
	{"n_array_unclosed_value", "[1"},
	{"n_array_unclosed_comma", "[1,"},
	{"n_array_trailing_comma", "[1,]"},
	{"n_array_double_comma", "[1,,2]"},
	{"n_array_comma_only", "[,]"},
	{"n_array_leading_comma", "[,1]"},
	{"n_array_missing_comma", "[1 true]"},
	{"n_array_colon", `["":1]`},
	{"n_array_extra_close", "[1]]"},
	{"n_array_closed_as_object", "[1}"},
	{"n_array_vertical_tab", "[\v1]"},
	{"n_array_form_feed", "[\f]"},
	{"n_array_no_break_space", "[\u00a0]"},
	{"n_array_byte_order_mark", "\ufeff[]"},
	{"n_object_unclosed", "{"},
	{"n_object_no_value", `{"a"`},
	{"n_object_no_value_colon", `{"a":`},
	{"n_object_trailing_comma", `{"a":0,}`},
	{"n_object_two_commas", `{"a":0,,"b":1}`},
	{"n_object_comma_only", `{,}`},
	{"n_object_missing_colon", `{"a" b}`},
	{"n_object_double_colon", `{"x"::"b"}`},
	{"n_object_comma_for_colon", `{"x","b"}`},
	{"n_object_name_unquoted", `{a:"b"}`},
	{"n_object_name_single_quotes", `{'a':0}`},
	{"n_object_name_number", `{1:1}`},
	{"n_object_name_null", `{null:null}`},
	{"n_object_garbage_at_end", `{"a":"a" 123}`},
	{"n_object_closed_as_array", `{"a":1]`},
	{"n_object_comment", `{"a":"b"}/**/`},
	{"n_object_line_comment", "{} // no"},
	{"n_two_values", "1 2"},
	{"n_two_objects", "{}{}"},
	{"n_trailing_garbage", "[]x"},
	{"n_trailing_null_byte", "[]\x00"},
	{"n_number_plus", "+1"},
	{"n_number_minus", "-"},
	{"n_number_minus_space", "- 1"},
	{"n_number_double_minus", "--1"},
	{"n_number_leading_zero", "012"},
	{"n_number_minus_leading_zero", "-012"},
	{"n_number_point_first", ".123"},
	{"n_number_point_last", "1."},
	{"n_number_point_exponent", "1.e1"},
	{"n_number_empty_exponent", "1e"},
	{"n_number_empty_exponent_in_array", "[1e,2]"},
	{"n_number_empty_signed_exponent", "1e+"},
	{"n_number_two_exponents", "1e1e1"},
	{"n_number_exponent_fraction", "1e1.5"},
	{"n_number_two_points", "1.2.3"},
	{"n_number_hex", "0x42"},
	{"n_number_underscore", "1_000"},
	{"n_number_space_inside", "1 000"},
	{"n_number_infinity", "Infinity"},
	{"n_number_minus_infinity", "-Infinity"},
	{"n_number_nan", "NaN"},
	{"n_number_full_width_digit", "１"},
	{"n_string_unclosed", `"a`},
	{"n_string_unclosed_escape", `"\`},
	{"n_string_only_quote", `"`},
	{"n_string_single_quotes", "'a'"},
	{"n_string_escape_x", `"\x00"`},
	{"n_string_escape_a", `"\a"`},
	{"n_string_escape_zero", `"\0"`},
	{"n_string_escape_capital_u", `"\U0041"`},
	{"n_string_escape_control", "\"\\\t\""},
	{"n_string_escape_utf8", "\"\\é\""},
	{"n_string_incomplete_escape", `"\u00A"`},
	{"n_string_invalid_hex", `"\u00G0"`},
	{"n_string_hex_with_sign", `"\u+123"`},
	{"n_string_lone_high_surrogate", `"\ud800"`},
	{"n_string_lone_low_surrogate", `"\udc00"`},
	{"n_string_high_surrogate_then_letter", `"\ud800a"`},
	{"n_string_high_surrogate_then_escape", `"\ud800\n12345"`},
	{"n_string_high_surrogate_then_bmp", `"\ud800\u0041"`},
	{"n_string_high_surrogate_cut", `"\ud800\udc`},
	{"n_string_reversed_pair", `"\udd1e\ud834"`},
	{"n_string_tab", "\"\t\""},
	{"n_string_newline", "\"new\nline\""},
	{"n_string_nul", "\"a\x00a\""},
	{"n_string_control_in_ninth_place", "\"12345678\x1f\""},
	{"n_string_latin1", "\"\xe9\""},
	{"n_string_overlong_utf8", "\"\xc0\xaf\""},
	{"n_string_utf8_surrogate", "\"\xed\xa0\x80\""},
	{"n_string_cut_utf8", "\"\xe0\xff\""},
	{"n_string_utf8_beyond_unicode", "\"\xf4\xbf\xbf\xbf\""},
	{"n_string_invalid_utf8_behind_ascii", "\"1234567890123456\xff\""},
	{"n_string_invalid_utf8_in_name", "{\"\xff\":1}"},
	{"n_utf16", "\xff\xfe[\x00"},
	{"n_literal_capital", "True"},
	{"n_literal_cut", "[nul]"},
	{"n_literal_long", "nullx"},
	{"n_literal_joined", "truefalse"},
}

func TestSyntax(t *testing.T) {
	for _, c := range syntaxCases {
		t.Run(c.name, func(t *testing.T) {
			if want := c.name[0] == 'y'; valid([]byte(c.in)) != want {
				t.Errorf("%q: accepted is not %v", c.in, want)
			}
			// The same as the value of a field that may hold anything, where it is read and not skipped.
			md := fixed.message(t, "google.protobuf.Value")
			rigs[0].checkDecode(t, md, []byte(c.in))
			rigs[3].checkDecode(t, fixed.message(t, "p3.Small"), []byte(`{"unknown":`+c.in+`}`))
		})
	}
}

func TestSkipCountsItsDepth(t *testing.T) {
	for _, c := range []struct {
		depth int
		want  bool
	}{{3, true}, {2, false}} {
		s := scanner{in: []byte(`[{"a":[]}]`), maxNumber: 10}
		if err := s.skip(c.depth); (err == nil) != c.want {
			t.Errorf("depth %d: %v", c.depth, err)
		}
	}
}

// FuzzSyntax compares with encoding/json, which replaces what is no UTF-8 and half pairs of surrogates instead of refusing
// them.
func FuzzSyntax(f *testing.F) {
	for _, c := range syntaxCases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, want := valid(in), json.Valid(in)
		if got && !want {
			t.Fatalf("accepted: %q", in)
		}
		if !got && want && utf8.Valid(in) && !bytes.Contains(bytes.ToLower(in), []byte(`\ud`)) {
			t.Fatalf("refused: %q", in)
		}
	})
}

// FuzzString compares unescaping and escaping with encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", `\n`, `\ud83d\ude42`, "é", "12345678", `1234567\"`, strings.Repeat(`\u0041`, 5), "\\\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		in := []byte(`"` + inside + `"`)
		s := scanner{in: in}
		raw, _, err := s.str()
		if err != nil || s.end() != nil {
			return // FuzzSyntax decides on that.
		}
		got := appendUnescaped(nil, raw)
		var want string
		if err := json.Unmarshal(in, &want); err != nil || string(got) != want {
			t.Fatalf("%q: got %q, want %q, %v", in, got, want, err)
		}
		text, ok := appendString(nil, got)
		var back string
		if err := json.Unmarshal(text, &back); !ok || err != nil || back != want {
			t.Fatalf("%q became %q: %v", want, text, err)
		}
	})
}
