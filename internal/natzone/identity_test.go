package natzone

import "testing"

func TestFindAddress(t *testing.T) {
	for body, want := range map[string]string{
		"192.0.2.1\n": "192.0.2.1",
		"fl=1\nh=a.example\nip=192.0.2.1\nts=17.5\n": "192.0.2.1",
		`{"ip":"192.0.2.1","version":"1.2.3"}`:       "192.0.2.1",
		"<html>1.2.3</html>":                         "",
		"2001:db8::1":                                "",
		"":                                           "",
	} {
		a, ok := FindAddress([]byte(body))
		if ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q: %v %v", body, a, ok)
		}
	}
}
