import { render } from "preact";
import { ApplicationProvider } from "./application";
import { startRouting } from "./route";
import { SessionProvider } from "./session";
import { Shell } from "./Shell";
import "./style.css";
import "./parts.css";
import { startTheme } from "./theme";

startTheme();
startRouting();
const page = document.getElementById("page");
if (page) {
  render(
    <SessionProvider>
      <ApplicationProvider>
        <Shell />
      </ApplicationProvider>
    </SessionProvider>,
    page,
  );
}
