// Verifies a delivery with the Standard Webhooks library: $DELIVERY is {headers, body, secrets, wrong}.
import { Webhook } from "standardwebhooks";

const { headers, body, secrets, wrong } = JSON.parse(process.env.DELIVERY);
const refused = (secret, text) => {
  try {
    new Webhook(secret).verify(text, headers);
  } catch {
    return;
  }
  throw new Error("verified, though it must not be");
};
for (const secret of secrets) {
  const event = new Webhook(secret).verify(body, headers);
  if (event.name !== "Łukasz") throw new Error("another event: " + JSON.stringify(event));
  refused(secret, body + " ");
}
refused(wrong, body);
console.log("webhook: ok");
