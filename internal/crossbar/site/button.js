// The button of a click-to-call: docs/click-to-call.md. The server puts what it tells in place of ABOUT.
((about) => {
  const me = document.currentScript ?? document.querySelector(`script[src*="/c2c/${about.id}.js"]`);
  const url = new URL(about.id + "/connect", me.src).href;

  const names = ("call number hang cancel starting ours yours bridged ended unanswered scheduled canceled later plan " +
    "contact_invalid whitelist emergency quiet_hours rate schedule_full at_invalid off fail").split(" ");
  const words = {
    en: `Call me
Your phone number
Hang up
Cancel
Calling…
Our phone is ringing…
Your phone is ringing. Please answer it.
You are talking.
The call has ended.
Nobody answered.
We will call you: $
The planned call is cancelled.
Call me back at
Plan the call
Please enter a phone number: digits, with + before a country.
This number cannot be called from here.
Emergency, premium and international numbers cannot be called from here. Please dial them on your phone.
Nobody is called before $.
Too many calls just now. Please try again $.
A call to this number is planned already, or too many are.
Please choose a time in the next 30 days.
No calls can be made from this page now.
That did not work. Please try again.`,
    es: `Llámenme
Su número de teléfono
Colgar
Cancelar
Llamando…
Nuestro teléfono está sonando…
Su teléfono está sonando. Conteste, por favor.
Está hablando.
La llamada ha terminado.
Nadie ha contestado.
Le llamaremos: $
La llamada prevista se ha cancelado.
Llámenme más tarde
Programar la llamada
Escriba un número de teléfono: cifras, con + ante un país.
Desde aquí no se puede llamar a este número.
Desde aquí no se llama a emergencias, números especiales ni al extranjero. Márquelo en su teléfono.
No se llama a nadie antes de: $.
Demasiadas llamadas. Inténtelo de nuevo $.
Ya hay una llamada prevista a este número, o demasiadas.
Elija una hora en los próximos 30 días.
Ahora no se puede llamar desde esta página.
No ha funcionado. Inténtelo de nuevo.`,
    de: `Rufen Sie mich an
Ihre Telefonnummer
Auflegen
Absagen
Wir rufen an…
Unser Telefon klingelt…
Ihr Telefon klingelt. Bitte nehmen Sie ab.
Sie sprechen.
Das Gespräch ist beendet.
Niemand hat abgenommen.
Wir rufen Sie an: $
Der geplante Anruf ist abgesagt.
Rückruf am
Anruf planen
Bitte eine Telefonnummer eingeben: Ziffern, mit + vor einem Land.
Diese Nummer kann von hier nicht angerufen werden.
Notrufe, Sondernummern und das Ausland gehen nicht von hier. Bitte wählen Sie am Telefon.
Vorher wird niemand angerufen: $.
Zu viele Anrufe. Bitte $ noch einmal versuchen.
Dieser Anruf ist schon geplant, oder zu viele sind es.
Bitte eine Zeit in den nächsten 30 Tagen wählen.
Von dieser Seite geht jetzt kein Anruf.
Das hat nicht geklappt. Bitte noch einmal versuchen.`,
    fr: `Appelez-moi
Votre numéro de téléphone
Raccrocher
Annuler
Appel en cours…
Notre téléphone sonne…
Votre téléphone sonne. Veuillez répondre.
Vous êtes en communication.
L’appel est terminé.
Personne n’a répondu.
Nous vous appellerons : $
L’appel prévu est annulé.
Rappelez-moi le
Prévoir l’appel
Saisissez un numéro de téléphone : des chiffres, avec + devant un pays.
Ce numéro ne peut pas être appelé d’ici.
Urgences, numéros surtaxés et étranger ne s’appellent pas d’ici. Composez sur votre téléphone.
Personne n’est appelé avant : $.
Trop d’appels. Réessayez $.
Un appel à ce numéro est déjà prévu, ou trop le sont.
Choisissez une date dans les 30 prochains jours.
Aucun appel n’est possible sur cette page.
Cela n’a pas marché. Réessayez.`,
  };
  const lang = [me.dataset.lang, me.closest("[lang]")?.lang, ...navigator.languages]
    .map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => words[tag]) ?? "en";
  const text = Object.fromEntries(words[lang].split("\n").map((line, i) => [names[i], line]));

  const make = (tag, properties, ...children) => {
    const e = Object.assign(document.createElement(tag), properties);
    return e.append(...children), e;
  };
  const number = make("input", { id: "n", type: "tel", autocomplete: "tel", required: true });
  number.setAttribute("aria-describedby", "s");
  const time = make("input", { id: "t", type: "datetime-local", required: true });
  const go = make("button", {}, me.dataset.label || text.call);
  const form = make("form", { noValidate: true }, make("label", { htmlFor: "n" }, text.number), number, go);
  const status = make("p", { id: "s", role: "status" });
  const hang = make("button", { className: "hang" });
  const later = make("form", { noValidate: true }, make("label", { htmlFor: "t" }, text.later), time, make("button", {}, text.plan));
  const host = make("bugle-call");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`section{all:initial;display:block;max-width:24em;color-scheme:inherit;color:var(--c2c-color,inherit);
font:var(--c2c-size,16px)/1.5 var(--c2c-font,system-ui,sans-serif)}
[hidden]{display:none!important}
form{display:flex;flex-wrap:wrap;gap:.5em}
label{flex:0 0 100%}
input,button{box-sizing:border-box;min-height:2.8em;padding:0 .8em;font:inherit;border:1px solid;border-radius:var(--c2c-radius,.4em)}
input{flex:1 1 11em;min-width:0;color:FieldText;background:Field}
[aria-invalid=true]{border-width:3px}
[type=datetime-local]{flex-basis:15em}
button{flex:1 0 auto;font-weight:600;cursor:pointer;color:var(--c2c-on-accent,#fff);background:var(--c2c-accent,#0b5cad)}
.hang{width:100%;color:#fff;background:var(--c2c-stop,#b3261e)}
:focus-visible{outline:3px solid var(--c2c-focus,CanvasText);outline-offset:2px}
p{margin:.6em 0;min-height:1.5em}
.on::before{content:"● "/""}
@media(prefers-reduced-motion:no-preference){.on::before{animation:a 1s infinite alternate}}
@keyframes a{to{opacity:.2}}`);
  root.adoptedStyleSheets = [sheet];
  const section = make("section", { ariaLabel: about.name, lang }, form, status, hang, later);
  root.append(section);

  const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
  const clock = (date) => new Date(date).toLocaleString(lang, { dateStyle: "medium", timeStyle: "short" });
  let busy, wanted, key, attempt, since, hung, due;

  /** show tells a state or refusal, and keeps the focus on what is there. */
  function show(state, word = state, detail = "") {
    const had = root.activeElement;
    const wrong = /^(contact_invalid|whitelist|emergency)$/.test(state);
    const offer = !attempt && (state === "unanswered" && !hung || /^(quiet_hours|at_invalid)$/.test(state));
    host.dataset.state = state;
    const line = (text[word] ?? "").replace("$", detail);
    if (status.textContent !== line) status.textContent = line;
    status.className = (busy || attempt) && state !== "scheduled" ? "on" : "";
    number.ariaInvalid = wrong;
    form.hidden = !!attempt;
    hang.hidden = !attempt;
    hang.textContent = state === "scheduled" ? text.cancel : text.hang;
    if (offer && !time.value) time.value = local(Date.now() + 36e5);
    if (!busy) later.hidden = !offer;
    if (wrong || had?.hidden || had?.parentNode.hidden) (attempt ? hang : offer ? time : wrong ? number : go).focus();
  }

  function refused(answer, data) {
    const cause = typeof data === "string" ? "whitelist" : data.cause ?? Object.values(Object.values(data)[0] ?? {})[0]?.cause;
    const seconds = answer.headers.get("Retry-After");
    const word = about.words[cause] ?? (text[cause] ? cause : /401|404|501/.test(answer.status) ? "off" : seconds ? "rate" : "fail");
    if (data.until) time.value = local(Date.parse(data.until));
    show(word, word, data.until ? clock(data.until)
      : new Intl.RelativeTimeFormat(lang).format(...(seconds < 100 ? [+seconds, "second"] : [Math.ceil(seconds / 60), "minute"])));
  }

  /** connect asks for a call, now or at a time; again under the same key when no answer came. */
  async function connect(at) {
    const contact = number.value.trim();
    if (busy || attempt) return;
    if (!contact) return show("contact_invalid");
    if (wanted !== (wanted = contact + at)) key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    busy = true;
    hung = false;
    due = at;
    show("starting");
    let answer, data;
    try {
      answer = await fetch(url, { method: "POST", body: JSON.stringify({ data: { contact, at } }),
        headers: { "Content-Type": "application/json", "Idempotency-Key": key } });
      data = (await answer.json()).data;
    } catch {}
    busy = false;
    if (!data) return show("fail");
    wanted = null;
    if (!answer.ok) return refused(answer, data);
    attempt = url + "/" + data.id;
    since = Date.now();
    follow(data.state);
  }

  async function follow(state) {
    for (;;) {
      if (/^(ended|unanswered|refused|canceled)$/.test(state)) attempt = "";
      show(state, { ...about.words, unanswered: hung ? "ended" : state }[state], due && clock(due));
      if (!attempt) return;
      try {
        const answer = await fetch(`${attempt}?wait=20&state=${state}`);
        const was = state;
        if (answer.ok) state = (await answer.json()).data.state;
        if (state !== was) continue;
        if (/401|404/.test(answer.status)) state = "refused";
      } catch {}
      await new Promise((done) => setTimeout(done, 2e3));
    }
  }

  section.onsubmit = (e) => {
    e.preventDefault();
    if (e.target === form) connect();
    else time.value ? connect(new Date(time.value).toISOString()) : show("at_invalid");
  };
  hang.onclick = async () => {
    if (Date.now() - since < 500) return; // the second click of a double one
    hung = true;
    if (!await fetch(attempt, { method: "DELETE" }).then((answer) => answer.ok, () => 0)) show(host.dataset.state, "fail");
  };
  section.onkeydown = (e) => !(e.repeat && e.key === "Enter");

  show("idle");
  const place = () => document.querySelector(me.dataset.target).append(host);
  if (!me.dataset.target) me.after(host);
  else if (document.readyState === "loading") addEventListener("DOMContentLoaded", place);
  else place();
})(ABOUT);
