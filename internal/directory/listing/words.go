package listing

import (
	"time"

	"golang.org/x/text/language"
)

// words are what a listing says besides names and numbers, in one language.
type words struct {
	name, department, extension, direct string
	page                                string // of the number of the page and that of all pages
	empty                               string
	missing                             string // before the list of characters
}

// translations are by base language; English is for all others.
var translations = map[string]words{
	"en": {"Name", "Department", "Extension", "Direct", "Page %d of %d", "Nobody is in this directory.",
		"Characters that no installed font has are printed as boxes:"},
	"de": {"Name", "Abteilung", "Durchwahl", "Direkt", "Seite %d von %d", "In diesem Verzeichnis steht niemand.",
		"Zeichen, die keine installierte Schrift hat, sind als Kästchen gedruckt:"},
	"fr": {"Nom", "Service", "Poste", "Ligne directe", "Page %d sur %d", "Cet annuaire est vide.",
		"Caractères absents des polices installées, imprimés sous forme de cadres :"},
	"es": {"Nombre", "Departamento", "Extensión", "Directo", "Página %d de %d", "Este directorio está vacío.",
		"Caracteres que no están en ninguna fuente instalada, impresos como recuadros:"},
	"it": {"Nome", "Reparto", "Interno", "Diretto", "Pagina %d di %d", "Questo elenco è vuoto.",
		"Caratteri assenti dai font installati, stampati come riquadri:"},
	"pt": {"Nome", "Departamento", "Ramal", "Direto", "Página %d de %d", "Esta lista está vazia.",
		"Caracteres ausentes das fontes instaladas, impressos como caixas:"},
	"nl": {"Naam", "Afdeling", "Toestel", "Direct", "Pagina %d van %d", "Deze lijst is leeg.",
		"Tekens die in geen geïnstalleerd lettertype staan, zijn als vakjes gedrukt:"},
	"sv": {"Namn", "Avdelning", "Anknytning", "Direkt", "Sida %d av %d", "Katalogen är tom.",
		"Tecken som saknas i alla installerade typsnitt visas som rutor:"},
	"da": {"Navn", "Afdeling", "Lokal", "Direkte", "Side %d af %d", "Listen er tom.",
		"Tegn, som ingen installeret skrifttype har, vises som bokse:"},
	"nb": {"Navn", "Avdeling", "Internnr.", "Direkte", "Side %d av %d", "Katalogen er tom.",
		"Tegn som ingen installert skrift har, vises som bokser:"},
	"fi": {"Nimi", "Osasto", "Alanumero", "Suora", "Sivu %d / %d", "Luettelo on tyhjä.",
		"Merkit, joita missään asennetussa fontissa ei ole, näkyvät laatikkoina:"},
	"pl": {"Nazwisko", "Dział", "Wewnętrzny", "Bezpośredni", "Strona %d z %d", "Ta lista jest pusta.",
		"Znaki, których nie ma żadna zainstalowana czcionka, są wydrukowane jako ramki:"},
	"ru": {"Имя", "Отдел", "Внутренний", "Прямой", "Страница %d из %d", "Справочник пуст.",
		"Символы, которых нет в установленных шрифтах, напечатаны рамками:"},
	"ar": {"الاسم", "القسم", "التحويلة", "المباشر", "صفحة %d من %d", "هذا الدليل فارغ.",
		"الأحرف التالية غير موجودة في الخطوط المثبتة وتظهر كمربعات:"},
	"he": {"שם", "מחלקה", "שלוחה", "ישיר", "עמוד %d מתוך %d", "הרשימה ריקה.",
		"תווים שאינם בגופנים המותקנים מודפסים כריבועים:"},
	"hi": {"नाम", "विभाग", "एक्सटेंशन", "सीधा नंबर", "पृष्ठ %d / %d", "यह सूची खाली है।",
		"जो वर्ण किसी स्थापित फ़ॉन्ट में नहीं हैं, वे खाली डिब्बे के रूप में छपे हैं:"},
	"th": {"ชื่อ", "แผนก", "เบอร์ต่อ", "สายตรง", "หน้า %d จาก %d", "ไม่มีรายชื่อ",
		"อักขระที่ไม่มีในแบบอักษรที่ติดตั้งแสดงเป็นกล่อง:"},
	"ja": {"氏名", "部署", "内線", "直通", "%d / %d ページ", "この名簿には誰も登録されていません。",
		"どのフォントにもない文字は四角で印刷されています："},
	"zh": {"姓名", "部门", "分机", "直线", "第 %d 页，共 %d 页", "此目录为空。",
		"已安装的字体中没有的字符以方框显示："},
	"ko": {"이름", "부서", "내선", "직통", "%d / %d쪽", "등록된 사람이 없습니다.",
		"설치된 글꼴에 없는 문자는 네모로 표시됩니다:"},
}

// traditional are the words of Chinese where it is written with traditional characters.
var traditional = words{"姓名", "部門", "分機", "直線", "第 %d 頁，共 %d 頁", "此目錄沒有任何人。", "已安裝的字型中沒有的字元以方框顯示："}

// words returns the words of the listing's language, or the English ones when no font has its letters.
func (t *typesetter) words() words {
	base, _ := t.language.Base()
	name := base.String()
	if name == "no" || name == "nn" {
		name = "nb"
	}
	found, ok := translations[name]
	if script, _ := t.language.Script(); script.String() == "Hant" {
		found = traditional
	}
	if !ok || !t.hasLetters(found.name) {
		return translations["en"]
	}
	return found
}

// date writes a day: as it is said in English, else as ISO 8601 has it, which is understood everywhere.
func (l *Listing) date(tag language.Tag) string {
	if l.Date.IsZero() {
		return ""
	}
	if base, _ := tag.Base(); base.String() != "en" {
		return l.Date.Format(time.DateOnly)
	}
	if region, _ := tag.Region(); region.String() == "US" {
		return l.Date.Format("January 2, 2006")
	}
	return l.Date.Format("2 January 2006")
}
