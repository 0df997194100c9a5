/** The link that is printed at the EVSE, as a QR code. */
import { useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Button, Card, Problem } from "../../components/parts";
import { texts } from "../../texts";

export function DriverLink({ evse }: { evse: string }) {
  const words = texts.evse.link;
  const [sure, setSure] = useState(false);
  const [copied, setCopied] = useState(false);
  const [problem, setProblem] = useState<unknown>(undefined);
  const params = { path: { evse } };
  const asked = useAsked(() => told(api.GET("/api/v1/evses/{evse}/driver-link", { params })), [evse]);
  const path = asked.data?.path;
  const copy = () => {
    navigator.clipboard.writeText(location.origin + (path ?? "")).then(
      () => {
        setCopied(true);
      },
      (error: unknown) => {
        setProblem(error);
      },
    );
  };
  const revoke = async () => {
    try {
      await told(api.DELETE("/api/v1/evses/{evse}/driver-link", { params }));
      setSure(false);
      setCopied(false);
      asked.again();
    } catch (error) {
      setProblem(error);
    }
  };
  const failed = asked.problem ?? problem;
  return (
    <Card title={words.title} class="driver-link">
      {failed !== undefined && <Problem problem={failed} retry={asked.again} />}
      {path !== undefined && (
        <>
          <div class="link-printed">
            <p class="print-only print-title">{words.printTitle(evse)}</p>
            <img
              key={path}
              src={`/api/v1/evses/${encodeURIComponent(evse)}/driver-link.svg?${path.slice(-8)}`}
              alt={words.qr(evse)}
              width="168"
              height="168"
            />
            <p class="print-only">{words.printHint}</p>
          </div>
          <p class="field-hint">{words.hint}</p>
          <p class="actions">
            <a class="button" href={path} target="_blank" rel="noreferrer">
              {words.open}
            </a>
            <Button icon={copied ? "check" : "copy"} onClick={copy}>
              {copied ? words.copied : words.copy}
            </Button>
            <Button
              onClick={() => {
                print();
              }}
            >
              {words.print}
            </Button>
            {!sure && (
              <Button
                look="quiet"
                onClick={() => {
                  setSure(true);
                }}
              >
                {words.revoke}
              </Button>
            )}
          </p>
          {sure && (
            <div class="note tone-warn" role="alert">
              <div>
                <p>{words.sure}</p>
                <p class="actions">
                  <Button look="danger" onClick={() => void revoke()}>
                    {words.yes}
                  </Button>
                  <Button
                    onClick={() => {
                      setSure(false);
                    }}
                  >
                    {texts.common.cancel}
                  </Button>
                </p>
              </div>
            </div>
          )}
        </>
      )}
    </Card>
  );
}
