package mask

import (
	"strings"
	"testing"
)

// planted is a secret that nobody else writes; each carrier is a way in which people write one.
const planted = "Zq7hunter2Zq7xy9Wv"

var carriers = []string{
	"--export=ALL,PW=%", "--export=A=b % c,D=e", "--export A=1,B=%", "--export=X=-%", "PASSWORD=%", "db_password=%", "--token=%", "--api-key %",
	"MY_SECRET_X=a,%", "password: %", `password="two % words"`, `{"token":"%"}`, "Authorization: Bearer %", "Authorization:Basic %", `-H "Authorization: Bearer %"`,
	"bearer %", "https://user:%@host/x", "postgres://%@db", "postgres://u:a/%@db/x", "ergon_pat_%", "glpat-%", "ghp_%", "x=sk-%", "AKIA%", "eyJ%.a.b",
	"--password '%'", "--secret=%,next", "AWS_SECRET_ACCESS_KEY=%", "passphrase %", "credentials:%", "git+https://%:x-oauth@git/y.git",
	"-u alice:%", "-ualice:%", "--user=alice:%", "--user 'alice:two %'", "--proxy-user alice:%",
}

func TestKnownFormsAreMaskedAndTheRestStays(t *testing.T) {
	for in, want := range map[string]string{
		"sbatch -n 4 --mem=8G job.sh input=3":                                         "sbatch -n 4 --mem=8G job.sh input=3",
		"sbatch --export=ALL job.sh":                                                  "sbatch --export=ALL job.sh",
		"sbatch --export=ALL,PW=x -n4 --exclusive=user job.sh":                        "sbatch --export=*** -n --exclusive",
		"sbatch job.sh --db-password=hunter2 --lr 3":                                  "sbatch job.sh --db-password=*** --lr 3",
		"sbatch job.sh --token hunter2 --lr 3":                                        "sbatch job.sh --token *** --lr 3",
		"run https://u:p@host/path":                                                   "run https://***@host/path",
		"run https://host/path@v1 s3://bucket/a":                                      "run https://host/path@v1 s3://bucket/a",
		"curl -u alice:tulip https://h/x":                                             "curl -u alice:*** https://h/x",
		"python -u fit.py 3:4":                                                        "python -u fit.py 3:4",
		"/home/alice/work":                                                            "/home/alice/work",
		"curl -H Authorization: Bearer abc x":                                         "curl -H Authorization: *** *** x",
		"glpat-abcdefghijkl1234 ergon_job.sh":                                         "*** ergon_job.sh",
		"--comment=ergon1:0190b0d0-0000-7000-8000-00000000000a|token=x":               "--comment=ergon1:0190b0d0-0000-7000-8000-00000000000a|token=***",
		"sbatch --export=A=b --comment=ergon1:0190b0d0-0000-7000-8000-00000000000a j": "sbatch --export=*** --comment=ergon1:0190b0d0-0000-7000-8000-00000000000a",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestEveryCarrierIsMasked(t *testing.T) {
	for _, c := range carriers {
		for _, before := range []string{"", "sbatch -n 4 ", "--password ", `x="open `, "a=b "} {
			text := before + strings.ReplaceAll(c, "%", planted) + " job.sh"
			if got := Text(text); strings.Contains(got, planted) {
				t.Errorf("%q becomes %q", text, got)
			}
		}
	}
}

func TestASecretInQuotesGoesOnOverLines(t *testing.T) {
	for in, want := range map[string]string{
		"PASSWORD=\"two\nwords\"\n./fit 10":                 "PASSWORD=***\n***\n./fit 10",
		"token='\n a\n#b' c\nx":                             "token='\n ***\n*** c\nx",
		"srun --export=\"A=b\nPW=hunter2\" ./x\n./fit":      "srun --export=***\n*** ./x\n./fit",
		"read -p \"password:\"\n./fit":                      "read -p \"password:\"\n./fit",
		"echo --token\n./fit":                               "echo --token\n./fit",
		"curl -u \"alice:two\nwords\" https://h\nit's 5 o'": "curl -u alice:***\n*** https://h\nit's 5 o'",
	} {
		var l Lines
		var out []string
		for line := range strings.SplitSeq(in, "\n") {
			out = append(out, l.Line(line))
		}
		if got := strings.Join(out, "\n"); got != want || l.Open() {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

// FuzzText plants a secret between anything: it never survives, and masking twice changes nothing.
func FuzzText(f *testing.F) {
	for i := range carriers {
		f.Add("sbatch -n 4", "job.sh --lr 3", i)
	}
	f.Add("--password", `"`, 3)
	f.Add(`token="`, "x", 8)
	f.Add("Authorization:", "", 13)
	f.Add("-u", "-u a:b", len(carriers)-1)
	f.Add("-u 'a:", "x:y'", len(carriers)-5)
	f.Add("-u 'a:", "x", len(carriers)-2)
	f.Fuzz(func(t *testing.T, before, after string, kind int) {
		if strings.Contains(before+after, planted) {
			t.Skip()
		}
		carrier := strings.ReplaceAll(carriers[uint(kind)%uint(len(carriers))], "%", planted)
		text := before + " " + carrier + " " + after
		got := Text(text)
		if strings.Contains(got, planted) {
			t.Fatalf("%q becomes %q", text, got)
		}
		if again := Text(got); again != got {
			t.Fatalf("%q becomes %q, then %q", text, got, again)
		}
		if strings.Contains(Essence(text), planted) {
			t.Fatalf("the essence of %q is %q", text, Essence(text))
		}
	})
}

func TestTheEssenceAnswersWhatTheAnalysisAsks(t *testing.T) {
	for in, want := range map[string]string{
		"sbatch -c4 --ntasks=3 job.sh secret": "-c --ntasks", "sbatch job.sh": "", "-c --ergon-arguments=e3b0c44298fc1c149afbf4c8996fb924:7": "-c", "srun --exclusive=user -n 8 a.out": "--exclusive -n",
	} {
		if got := Essence(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
