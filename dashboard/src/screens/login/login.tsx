/** A token is changed for a cookie that scripts cannot read. */
import { useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { me } from "../../api/session";
import { Button, Field, Problem } from "../../components/parts";
import { texts } from "../../texts";

export function Login({ entered }: { entered: () => void }) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      me.value = await told(api.POST("/api/v1/login", { body: { token: token.trim() } }));
      entered();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="alone">
      <form class="card login" onSubmit={(event) => void submit(event)}>
        <h1>
          <img src="/favicon.svg" alt="" width="32" height="32" /> {texts.common.product}
        </h1>
        <Field label={texts.login.token} hint={texts.login.hint}>
          {(named) => (
            <input
              {...named}
              type="password"
              autocomplete="current-password"
              required
              value={token}
              onInput={(event) => {
                setToken(event.currentTarget.value);
              }}
            />
          )}
        </Field>
        {problem !== null && <Problem problem={problem} />}
        <Button type="submit" look="main" disabled={busy}>
          {texts.login.submit}
        </Button>
      </form>
    </main>
  );
}
